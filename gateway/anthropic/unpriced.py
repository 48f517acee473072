"""Options of Anthropic's that have another price than the standard one, which is not known here.

What they cost could not be booked, so they are refused before anything is sent (Anthropic's pricing
page, 2026-11). Its tools with a fee of their own are refused with everyone's, in validate.py.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from gateway.anthropic.content import OPTIONS

_WHY = "has another price, which is not known here"
_USUAL = {
    # "fast" is several times as dear.
    "speed": ("standard", None),
    # Other places than anywhere cost a tenth more.
    "inference_geo": ("global", "not_available", None),
}
_TIERS = ("auto", "standard_only", None)


def unpriced(extra: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(field, why) of each; `extra` is what the prompt's extra_json holds."""
    own = extra.get(OPTIONS)
    own = own if isinstance(own, dict) else {}
    for told in (own, extra):
        for name, usual in _USUAL.items():
            if told.get(name) not in usual:
                yield f"prompt.extra_json.{name}", _WHY
    if own.get("service_tier") not in _TIERS:
        yield "prompt.extra_json.service_tier", _WHY
