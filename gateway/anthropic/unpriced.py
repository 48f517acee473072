"""Options of Anthropic's that are billed beside tokens or at other prices, which have none here.

What they cost could not be booked, so they are refused before anything is sent (Anthropic's pricing
page, 2026-11).
"""

import re
from collections.abc import Iterator
from typing import Any

from spendgate.chat.v1 import chat_pb2

from gateway.anthropic.content import OPTIONS
from gateway.openai.read import object_from

_FEES = re.compile(r"(web_search|code_execution)_[0-9]{8}\Z", re.ASCII)
_USUAL = {
    # "fast" is several times as dear.
    "speed": ("standard",),
    # Other places than anywhere cost a tenth more.
    "inference_geo": ("global", "not_available"),
    "service_tier": ("auto", "standard_only"),
}


def unpriced(prompt: chat_pb2.Prompt, extra: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """(field, why) of each; `extra` is what the prompt's extra_json holds."""
    own = extra.get(OPTIONS)
    for told in (own if isinstance(own, dict) else {}, extra):
        for name in ("speed", "inference_geo"):
            if told.get(name, _USUAL[name][0]) not in (*_USUAL[name], None):
                yield f"prompt.extra_json.{name}", "has another price, which is not known here"
    if isinstance(own, dict) and own.get("service_tier", "auto") not in _USUAL["service_tier"]:
        yield "prompt.extra_json.service_tier", "only the standard tier has a price here"
    for place, tool in enumerate(prompt.tools):
        if not tool.extra_json or tool.name:
            continue
        kind = object_from(tool.extra_json, f"prompt.tools[{place}].extra_json").get("type")
        if isinstance(kind, str) and _FEES.match(kind):
            yield (
                f"prompt.tools[{place}]",
                "is billed apart from tokens, which has no price here",
            )
