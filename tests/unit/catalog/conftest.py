from collections.abc import Callable

import pytest

from catalog.config import parse_config
from catalog.fleet import Fleet
from catalog.published import Published


@pytest.fixture(scope="session")
def published() -> Published:
    return Published()


@pytest.fixture
def fleet() -> Callable[[str], Fleet]:
    return lambda text: Fleet.of(parse_config(text))
