"""Sets cache_control markers on a request where they pay and the caller has set none."""

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import orjson

from catalog.cache_markers import PromptParts, Worth, worth_keeping
from catalog.price import Rates
from catalog.prompt_cache import prompt_cache_of
from gateway.anthropic.content import CACHE_CONTROL, Block

BEGINNINGS_MAX = 4_096
_DIGEST_BYTES = 16
_MARKER = {"type": "ephemeral"}
# Blocks that take no marker.
_UNMARKED = frozenset({"thinking", "redacted_thinking"})

# The rates of a model by its upstream name, None when they are not known.
RatesOf = Callable[[str], Rates | None]


class Beginnings:
    """Which beginnings of prompts were sent lately. Bounded; keeps digests, no text."""

    def __init__(self, now: Callable[[], float], count_max: int = BEGINNINGS_MAX) -> None:
        """`now` is seconds on any clock that goes forward."""
        self._now = now
        self._count_max = count_max
        self._last: OrderedDict[bytes, float] = OrderedDict()

    def seen(self, beginning: bytes, within_seconds: float) -> bool:
        """Whether it was sent within that time; from now on it was."""
        now = self._now()
        before = self._last.pop(beginning, None)
        self._last[beginning] = now
        if len(self._last) > self._count_max:
            self._last.popitem(last=False)
        return before is not None and now - before <= within_seconds


class Markers:
    """Marks requests to one provider."""

    def __init__(self, rates_of: RatesOf, beginnings: Beginnings) -> None:
        self._rates_of = rates_of
        self._beginnings = beginnings

    def add(self, body: dict[str, Any], model: str) -> None:
        """Marks tools and instructions, and the conversation so far, where that pays.

        A caller's own markers are respected: then none is added.
        """
        if _marked(body):
            return
        rates = self._rates_of(model)
        if rates is None:
            return
        cache = prompt_cache_of(model)
        stable = orjson.dumps([model, body.get("tools"), body.get("system")])
        digest = hashlib.blake2b(stable, digest_size=_DIGEST_BYTES).digest()
        turns = body["messages"]
        parts = PromptParts(
            stable_bytes=len(stable),
            whole_bytes=len(stable) + _text_bytes(turns),
            has_tools=bool(body.get("tools")),
            under_way=any(turn["role"] == "assistant" for turn in turns),
            stable_seen=self._beginnings.seen(digest, cache.lifetime_seconds),
        )
        _mark(body, worth_keeping(parts, cache, rates))


def _mark(body: dict[str, Any], worth: Worth) -> None:
    if worth.stable:
        _mark_stable(body)
    if not worth.conversation:
        return
    users = [at for at, turn in enumerate(body["messages"]) if turn["role"] == "user"]
    # The last turn, for the next call; the one before, where the last call's marker stood.
    for at in users[-2:]:
        body["messages"][at] = _marked_turn(body["messages"][at])


def _mark_stable(body: dict[str, Any]) -> None:
    system = body.get("system")
    if isinstance(system, str) and system:
        body["system"] = [{"type": "text", "text": system, CACHE_CONTROL: _MARKER}]
    elif isinstance(system, list) and system:
        body["system"] = [*system[:-1], {**system[-1], CACHE_CONTROL: _MARKER}]
    elif body.get("tools"):
        tools = body["tools"]
        body["tools"] = [*tools[:-1], {**tools[-1], CACHE_CONTROL: _MARKER}]


def _marked_turn(turn: Block) -> Block:
    content = turn["content"]
    if isinstance(content, str):
        content = [{"type": "text", "text": content}] if content else []
    if not content or content[-1].get("type") in _UNMARKED:
        return turn
    return {**turn, "content": [*content[:-1], {**content[-1], CACHE_CONTROL: _MARKER}]}


def _marked(body: dict[str, Any]) -> bool:
    if CACHE_CONTROL in body:
        return True
    lists = [body.get("tools"), body.get("system")]
    lists += [turn["content"] for turn in body["messages"]]
    return any(
        CACHE_CONTROL in block or _marked_inside(block)
        for blocks in lists
        if isinstance(blocks, list)
        for block in blocks
        if isinstance(block, dict)
    )


def _marked_inside(block: Block) -> bool:
    inner = block.get("content")
    return isinstance(inner, list) and any(
        isinstance(each, dict) and CACHE_CONTROL in each for each in inner
    )


def _text_bytes(turns: list[Block]) -> int:
    """Bytes of text in the turns; pictures and documents, whose bytes are no text, left out."""
    total = 0
    for turn in turns:
        content = turn["content"]
        if isinstance(content, str):
            total += len(content)
            continue
        for block in content:
            if isinstance(block, dict):
                total += sum(
                    len(value)
                    for name in ("text", "thinking", "content")
                    if isinstance(value := block.get(name), str)
                )
    return total
