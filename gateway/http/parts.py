"""The HTTP door put together: every protocol that it speaks."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass

from chassis.errors import ErrorTable
from gateway.batches.office import Office
from gateway.console.assets import load_assets
from gateway.console.forwards import Fleet, Forwarder
from gateway.console.sessions import Sessions, Tries
from gateway.console.traces import Traces
from gateway.door import Door
from gateway.http.anthropic_messages import AnthropicMessages
from gateway.http.console import Console, SessionIntake
from gateway.http.edge import Edge
from gateway.http.intake import EdgeLimits, Intake, Part
from gateway.http.openai_batches import OpenAIBatches
from gateway.http.openai_chat import OpenAIChat
from gateway.http.openai_embeddings import OpenAIEmbeddings
from gateway.http.openai_files import OpenAIFiles
from gateway.http.openai_responses import OpenAIResponses
from gateway.http.pricing import Pricing

_SESSION_NAME_BYTES = 32


@dataclass(frozen=True, slots=True)
class ConsoleParts:
    """What the console stands on. `clock` is monotonic seconds."""

    fleet: Fleet
    traces: Traces | None
    seconds_max: float
    idle_seconds_max: float
    clock: Callable[[], float]


def make_console(
    door: Door,
    errors: ErrorTable,
    limits: EdgeLimits,
    parts: ConsoleParts,
    *,
    new_id: Callable[[], str],
    now: Callable[[], float],
) -> Console:
    """The console. Raises: OSError when its files cannot be read."""
    sessions = Sessions(
        seconds_max=parts.seconds_max,
        idle_seconds_max=parts.idle_seconds_max,
        clock=parts.clock,
        new_name=lambda: secrets.token_urlsafe(_SESSION_NAME_BYTES),
    )
    intake = SessionIntake(door, limits, sessions)
    chat = OpenAIChat(intake, errors, new_id=new_id, now=now)
    handlers = {route.path: route.handler for route in chat.routes()}
    return Console(
        intake,
        Tries(parts.clock),
        Forwarder(parts.fleet),
        traces=parts.traces,
        assets=load_assets(),
        chat=handlers["/v1/chat/completions"],
        feedback=handlers["/v1/feedback"],
    )


def make_edge(
    door: Door,
    errors: ErrorTable,
    limits: EdgeLimits,
    *,
    ready: Callable[[], bool],
    new_id: Callable[[], str],
    now: Callable[[], float],
    console: Console | None = None,
    office: Office | None = None,
) -> Edge:
    """The edge with all its parts. `now` is seconds since 1970; without an `office` there are no
    batches."""
    intake = Intake(door, limits)
    parts: list[Part] = [
        OpenAIChat(intake, errors, new_id=new_id, now=now),
        AnthropicMessages(intake, errors, new_id=new_id),
        OpenAIResponses(intake, errors, new_id=new_id, now=now),
        OpenAIEmbeddings(intake),
        Pricing(intake, now=now),
    ]
    if office is not None:
        parts += [OpenAIFiles(intake, office), OpenAIBatches(intake, office)]
    if console is not None:
        parts.append(console)
    return Edge(parts, errors, limits, ready=ready)
