"""Who calls: the fleet's own token inside, whatever a room brings at the door."""

import hmac
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

BEARER = "Bearer "

# Gives the caller for an `authorization` header, or raises what the room's table maps to
# UNAUTHENTICATED.
Authenticate = Callable[[str | None], Awaitable[object]]


class Unauthenticated(Exception):
    """The caller did not show what opens this service."""


@dataclass(frozen=True, slots=True)
class FleetMember:
    """A caller that showed the fleet's token."""


def fleet_token(token: str | None) -> Authenticate:
    """Admits who shows `token`; everybody when there is none (loopback only, see server.py)."""
    expected = (BEARER + token).encode() if token is not None else None

    async def authenticate(authorization: str | None) -> object:
        if expected is not None and not hmac.compare_digest(
            (authorization or "").encode("utf-8", "surrogateescape"), expected
        ):
            raise Unauthenticated
        return FleetMember()

    return authenticate
