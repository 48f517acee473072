"""The HTTP door put together: every protocol that it speaks."""

from collections.abc import Callable

from chassis.errors import ErrorTable
from gateway.door import Door
from gateway.http.edge import Edge
from gateway.http.intake import EdgeLimits, Intake
from gateway.http.openai_chat import OpenAIChat


def make_edge(
    door: Door,
    errors: ErrorTable,
    limits: EdgeLimits,
    *,
    ready: Callable[[], bool],
    new_id: Callable[[], str],
    now: Callable[[], float],
) -> Edge:
    """The edge with all its parts. `now` is seconds since 1970."""
    intake = Intake(door, limits)
    parts = [OpenAIChat(intake, errors, new_id=new_id, now=now)]
    return Edge(parts, errors, limits, ready=ready)
