"""What further fields of a message cost."""

import base64
import json
from collections.abc import Callable
from typing import Any

from spendgate.chat.v1 import chat_pb2 as chat

from services.tokenizer.meter import Meter
from services.tokenizer.prepare import prepare

MeterFor = Callable[[str], Meter]
SAID = "The quick brown fox jumps over the lazy dog. " * 20


def extra_of(blocks: list[dict[str, Any]], thought: str) -> str:
    kept = [{"index": at, "block": block} for at, block in enumerate(blocks)]
    return json.dumps({"reasoning_content": thought, "anthropic_content": kept})


def tokens_of(meter: Meter, **message: Any) -> int:
    prompt = chat.Prompt(messages=[chat.Message(role=chat.ROLE_ASSISTANT, **message)])
    return prepare(prompt, meter).sent.total().tokens


def tokens_of_part(meter: Meter, **block: Any) -> int:
    part = chat.ContentPart(extra_json=json.dumps(block))
    prompt = chat.Prompt(messages=[chat.Message(role=chat.ROLE_USER, parts=[part])])
    return prepare(prompt, meter).sent.total().tokens


def test_what_stands_in_two_places_is_counted_once(meter_for: MeterFor) -> None:
    """Blocks of Anthropic's repeat the message's text; a model reads it once."""
    meter = meter_for("claude-sonnet-4-5")
    blocks = [{"type": "thinking", "thinking": "", "signature": "s" * 5_000}]
    blocks += [{"type": "text", "text": SAID}]
    plain = tokens_of(meter, content=SAID)
    kept = extra_of(blocks, "")
    assert plain <= tokens_of(meter, content=SAID, extra_json=kept) <= plain + 5


def test_thoughts_are_counted(meter_for: MeterFor) -> None:
    """Once, though they stand there as text and as a block."""
    meter = meter_for("claude-sonnet-4-5")
    blocks = [{"type": "thinking", "thinking": SAID, "signature": "s"}]
    kept = extra_of(blocks, SAID)
    assert 0 <= tokens_of(meter, extra_json=kept) - tokens_of(meter, content=SAID) < 10


def test_a_marker_costs_nothing(meter_for: MeterFor) -> None:
    """No model reads it."""
    meter = meter_for("claude-sonnet-4-5")
    plain = chat.ContentPart(text=SAID)
    marked = chat.ContentPart(text=SAID, extra_json='{"cache_control":{"type":"ephemeral"}}')
    counts = {
        prepare(chat.Prompt(messages=[chat.Message(role=chat.ROLE_USER, parts=[part])]), meter)
        .sent.total()
        .tokens
        for part in (plain, marked)
    }
    assert len(counts) == 1


def test_a_document_is_counted_by_its_pages(meter_for: MeterFor) -> None:
    """Not by the letters of its base64, of which there are many more."""
    meter = meter_for("claude-sonnet-4-5")
    pdf = b"%PDF-1.7\n" + b"<< /Type /Pages >> " + b"<< /Type /Page /X 1 >> " * 3 + b"\0" * 400_000
    source = {
        "type": "base64",
        "media_type": "application/pdf",
        "data": base64.b64encode(pdf).decode(),
    }
    assert 9_000 <= tokens_of_part(meter, type="document", source=source) < 9_100
    text = {"type": "text", "media_type": "text/plain", "data": SAID}
    counted = tokens_of_part(meter, type="document", source=text)
    assert 0 <= counted - tokens_of(meter, content=SAID) < 40
