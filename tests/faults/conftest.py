"""One fleet for the faults that pass; each test has a tenant of its own."""

import re

import pytest
import pytest_asyncio

from tests.faults.house import FaultHouse


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def house(tmp_path_factory):
    """A fleet that is well again after each test."""
    async with FaultHouse(tmp_path_factory.mktemp("faults")) as built:
        yield built


@pytest.fixture
def tenant(request):
    """A tenant that no other test has."""
    return re.sub(r"\W+", "-", request.node.name)[:100]
