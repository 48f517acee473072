"""Where the money went: from a naive estimate, multiplier by multiplier, to what was charged."""

from collections.abc import Iterable
from dataclasses import dataclass

from catalog.price import PICOS_PER_NANO, Rates
from services.ledger.rules.values import Tokens


@dataclass(frozen=True, slots=True)
class Slice:
    """The calls of a model on a day.

    Money of calls that are not plain ones counts whole: those of development, failed ones, later
    tries, other calls (summaries, embeddings, corrections). The rest is `plain`, with its tokens
    by bucket and, of calls counted by segment, by segment; `unsegmented_tokens` is all that the
    others read. `rates` None: the price is not known any more, all of it counts as estimate.
    """

    plain_nanos: int
    tokens: Tokens
    rates: Rates | None
    system_tokens: int = 0
    tools_tokens: int = 0
    history_tokens: int = 0
    new_tokens: int = 0
    unsegmented_tokens: int = 0
    development_nanos: int = 0
    failed_nanos: int = 0
    again_nanos: int = 0
    other_nanos: int = 0
    calls: int = 0
    segmented_calls: int = 0


MEANINGS = {
    "naive estimate": "what is new in each prompt and the answers one sees, at list price",
    "system prompts": "instructions sent again with every call",
    "tools": "definitions of tools sent again with every call",
    "history": "what was said before, sent again with every turn",
    "message overhead": "what the chat format adds around messages",
    "reasoning": "tokens that were written and never shown",
    "provider cache": "what cached tokens cost less, and writing them more",
    "sound": "audio read and written, above the price of text",
    "pictures": "pictures read and made, above the price of text",
    "price differences": "rounding, long-context prices, prices that changed within a day",
    "retries and fallbacks": "tries after the first one",
    "failed calls": "calls that brought no answer and were billed",
    "other calls": "summaries, embeddings, hedges, shadows, corrections",
    "development": "calls of development, test and staging",
}


def anatomy(slices: Iterable[Slice]) -> list[tuple[str, int]]:
    """The parts by name, in nano-USD; they add up to what was charged, to the nano."""
    parts = dict.fromkeys(MEANINGS, 0)
    for each in slices:
        parts["development"] += each.development_nanos
        parts["failed calls"] += each.failed_nanos
        parts["retries and fallbacks"] += each.again_nanos
        parts["other calls"] += each.other_nanos
        plain = _plain(each) if each.rates else {"naive estimate": each.plain_nanos}
        for name, nanos in plain.items():
            parts[name] += nanos
        parts["price differences"] += each.plain_nanos - sum(plain.values())
    return list(parts.items())


def _plain(each: Slice) -> dict[str, int]:
    rates, tokens = each.rates, each.tokens
    if rates is None:
        return {}
    fresh = rates.input_picos
    read_text = (
        tokens.input_tokens
        + tokens.cached_input_tokens
        + tokens.cache_write_tokens
        + tokens.cache_write_1h_tokens
    )
    segments = each.system_tokens + each.tools_tokens + each.history_tokens + each.new_tokens
    media = tokens.audio_input_tokens + tokens.image_input_tokens
    overhead = read_text + media - each.unsegmented_tokens - segments
    cache = (
        tokens.cached_input_tokens * (rates.cached_input_picos - fresh)
        + tokens.cache_write_tokens * (rates.cache_write_picos - fresh)
        + tokens.cache_write_1h_tokens * (rates.cache_write_1h_picos - fresh)
    )
    sound = tokens.audio_input_tokens * (rates.audio_input_picos - fresh)
    sound += tokens.audio_output_tokens * (rates.audio_output_picos - rates.output_picos)
    pictures = tokens.image_input_tokens * (rates.image_input_picos - fresh)
    pictures += tokens.image_output_tokens * (rates.image_output_picos - rates.output_picos)
    written = tokens.output_tokens + tokens.audio_output_tokens + tokens.image_output_tokens
    picos = {
        "naive estimate": (each.new_tokens + each.unsegmented_tokens) * fresh
        + written * rates.output_picos,
        "system prompts": each.system_tokens * fresh,
        "tools": each.tools_tokens * fresh,
        "history": each.history_tokens * fresh,
        "message overhead": overhead * fresh,
        "reasoning": tokens.reasoning_tokens * rates.output_picos,
        "provider cache": cache,
        "sound": sound,
        "pictures": pictures,
    }
    return {name: amount // PICOS_PER_NANO for name, amount in picos.items()}
