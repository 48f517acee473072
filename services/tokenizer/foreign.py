"""What further fields of a message or a part cost: what a model reads of them, as far as is known.

Markers are not read, documents not as the letters of their base64, and blocks of Anthropic's whose
text stands in the message's own fields are counted there.
"""

import json
from typing import Any, Final

from catalog.foreign import ANTHROPIC_CONTENT, CACHE_CONTROL, REASONING
from services.tokenizer.media.documents import pdf_tokens
from services.tokenizer.media.picture_size import size_in_data_url
from services.tokenizer.media.pictures import picture_tokens
from services.tokenizer.meter import Meter, Tally

# Content that is handed through unread: how a model is shown it nobody published.
UNREAD_BOUND_PERMILLE: Final = 500
# Thoughts that are sent packed: about six letters of base64 a token.
_LETTERS_A_TOKEN: Final = 6
_PACKED_BOUND_PERMILLE: Final = 1_000
_COUNTED_ELSEWHERE: Final = frozenset({"text", "tool_use"})
_KNOWN: Final = tuple(
    f'"{name}"' for name in (ANTHROPIC_CONTENT, CACHE_CONTROL, REASONING, "document", "image")
)


def measure_extra(extra_json: str, meter: Meter, tally: Tally) -> None:
    """Adds what `extra_json`, of a message, a part, a call or a tool, is read as."""
    value = _known(extra_json)
    if value is None:
        meter.text(extra_json, tally, UNREAD_BOUND_PERMILLE)
        return
    blocks = value.pop(ANTHROPIC_CONTENT, None)
    if isinstance(blocks, list):
        # They say all that was thought; the text beside them says it again.
        value.pop(REASONING, None)
        for each in blocks:
            _measure_block(each.get("block") if isinstance(each, dict) else None, meter, tally)
    _measure_block(value, meter, tally)


def _known(extra_json: str) -> dict[str, Any] | None:
    """The object, where there is something in it that is not read letter by letter."""
    if not any(name in extra_json for name in _KNOWN):
        return None
    try:
        value = json.loads(extra_json)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _measure_block(block: Any, meter: Meter, tally: Tally) -> None:
    if not isinstance(block, dict):
        return
    kind, source = block.get("type"), block.get("source")
    rest = {name: value for name, value in block.items() if name != CACHE_CONTROL}
    if kind in _COUNTED_ELSEWHERE or not rest:
        return
    if kind == "thinking":
        meter.text(str(block.get("thinking", "")), tally, UNREAD_BOUND_PERMILLE)
    elif kind == "redacted_thinking":
        letters = len(str(block.get("data", "")))
        tally.add_media(1 + letters // _LETTERS_A_TOKEN, _PACKED_BOUND_PERMILLE)
    elif kind in ("document", "image") and isinstance(source, dict):
        _measure_source(str(kind), source, meter, tally)
        rest.pop("source")
        meter.text(json.dumps(rest, ensure_ascii=False), tally, UNREAD_BOUND_PERMILLE)
    else:
        meter.text(json.dumps(rest, ensure_ascii=False), tally, UNREAD_BOUND_PERMILLE)


def _measure_source(kind: str, source: dict[str, Any], meter: Meter, tally: Tally) -> None:
    data = str(source.get("data", ""))
    if kind == "image":
        url = f"data:{source.get('media_type')};base64,{data}"
        tally.add_media(*picture_tokens(meter.model.pictures, size_in_data_url(url), ""))
    elif source.get("type") == "text":
        meter.text(data, tally)
    else:
        tally.add_media(*pdf_tokens(data))
