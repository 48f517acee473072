"""A saga on fakes for each test."""

import pytest

from tests.fakes.saga_house import House


@pytest.fixture
def make_house():
    """A saga with more in its fleet file."""
    return House


@pytest.fixture
async def house():
    built = House()
    yield built
    await built.books.drain()
