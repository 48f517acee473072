"""Fleets for the tests: one for all that break nothing, and one each for those that do."""

import re

import pytest
import pytest_asyncio

from tests.e2e.house import House


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def house(tmp_path_factory):
    """The fleet that tests share. Each test has a tenant of its own."""
    async with House(tmp_path_factory.mktemp("fleet")) as built:
        yield built


@pytest.fixture
async def own_house(tmp_path):
    """A fleet of a test's own: it may kill what it likes."""
    async with House(tmp_path) as built:
        yield built


@pytest.fixture
def tenant(request):
    """A tenant that no other test has."""
    return re.sub(r"\W+", "-", request.node.name)[:100]
