"""The HTTP door put together: every protocol that it speaks."""

from collections.abc import Callable

from chassis.errors import ErrorTable
from gateway.batches.office import Office
from gateway.door import Door
from gateway.http.edge import Edge
from gateway.http.intake import EdgeLimits, Intake, Part
from gateway.http.openai_batches import OpenAIBatches
from gateway.http.openai_chat import OpenAIChat
from gateway.http.openai_files import OpenAIFiles


def make_edge(
    door: Door,
    errors: ErrorTable,
    limits: EdgeLimits,
    *,
    ready: Callable[[], bool],
    new_id: Callable[[], str],
    now: Callable[[], float],
    office: Office | None = None,
) -> Edge:
    """The edge with all its parts. `now` is seconds since 1970; without an `office` there are no
    batches."""
    intake = Intake(door, limits)
    parts: list[Part] = [OpenAIChat(intake, errors, new_id=new_id, now=now)]
    if office is not None:
        parts += [OpenAIFiles(intake, office), OpenAIBatches(intake, office)]
    return Edge(parts, errors, limits, ready=ready)
