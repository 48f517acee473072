"""The port to Redis itself, for what needs more than values at places."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from services.cache.store import StoreUnavailable

# A command and its arguments, the first of them the key.
Command = tuple[str | bytes | int | float, ...]


class Link(Protocol):
    """Runs commands, many in one round trip."""

    async def run(self, commands: Sequence[Command]) -> list[object]:
        """One reply a command, in order. A command that Redis refused has a StoreUnavailable in
        its place. Must raise StoreUnavailable, and nothing else, when Redis did not answer."""


def whole(reply: object) -> int:
    """An integer reply; 0 for anything else."""
    return reply if isinstance(reply, int) else 0


def rows(reply: object) -> list[object]:
    """An array reply; empty for anything else."""
    return list(reply) if isinstance(reply, list | tuple) else []


def pairs(reply: object) -> Mapping[bytes, object]:
    """A map reply; empty for anything else. Redis gives an empty array for no map."""
    return reply if isinstance(reply, Mapping) else {}


def raised(reply: object) -> object:
    """`reply`, unless it is a refusal: raises that. For commands that must work."""
    if isinstance(reply, StoreUnavailable):
        raise reply
    return reply
