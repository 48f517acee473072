"""A conversation as exchanges: what is kept or left out as one."""

from collections.abc import Sequence
from dataclasses import dataclass

from spendgate.chat.v1 import chat_pb2 as chat

_INSTRUCTIONS = frozenset({chat.ROLE_SYSTEM, chat.ROLE_DEVELOPER})


@dataclass(frozen=True, slots=True)
class Exchange:
    """A user's message and all that answers it, tool calls with their results; places in order."""

    places: tuple[int, ...]
    tokens: int

    @property
    def start(self) -> int:
        """Place of its first message."""
        return self.places[0]


def split(
    messages: Sequence[chat.Message], tokens: Sequence[int]
) -> tuple[list[int], list[Exchange]]:
    """(places of instructions, the exchanges); `tokens` are the messages'.

    Every message is in exactly one of them, and exchanges follow one another.
    """
    instructions: list[int] = []
    groups: list[list[int]] = []
    for place, message in enumerate(messages):
        if message.role in _INSTRUCTIONS:
            instructions.append(place)
        elif message.role == chat.ROLE_USER and not _asks_on(messages, groups):
            groups.append([place])
        elif groups:
            groups[-1].append(place)
        else:
            groups.append([place])
    return instructions, [
        Exchange(tuple(group), sum(tokens[place] for place in group)) for group in groups
    ]


def _asks_on(messages: Sequence[chat.Message], groups: list[list[int]]) -> bool:
    """True when nobody has answered the user yet, or a tool's result is still to come."""
    if not groups:
        return False
    group = groups[-1]
    if messages[group[-1]].role == chat.ROLE_USER:
        return True
    called = {call.id for place in group for call in messages[place].tool_calls}
    answered = {messages[place].tool_call_id for place in group}
    return bool(called - answered)
