"""What a request's cost is made of: part by part, in nano-USD, adding up to the charge."""

from collections.abc import Sequence
from typing import Final

from spendgate.chat.v1 import chat_pb2
from spendgate.tokenizer.v1 import tokenizer_service_pb2 as tokenizer_pb

from catalog.price import ModelPrice, Rates
from catalog.usage import BUCKETS, Usage

# In the order in which a provider reads them, which is the order its prompt cache keeps.
READ: Final = ("tools", "system", "history", "new")
RETRIES: Final = "retries"
PARTS: Final = ("system", "tools", "history", "new", "output", "reasoning", RETRIES)


def parts_of(
    cost_nanos: int,
    taken_nanos: int,
    usage: chat_pb2.TokenUsage,
    segments: tokenizer_pb.Segments,
    price: ModelPrice,
) -> dict[str, int]:
    """`cost_nanos` by PARTS, those that are 0 left out; their sum is `cost_nanos`.

    `taken_nanos` is the charge of the answer that was taken, with `usage`; the other attempts are
    the retries. Tokens read are shared out by what was counted by segment, with what the chat
    format adds among them; cached ones are the prompt's beginning.
    """
    used = Usage(**{bucket: getattr(usage, bucket) for bucket in BUCKETS})
    rates = price.rates_at(used.read_tokens)
    picos = _read_picos(used, segments, rates)
    picos["new"] += used.audio_input_tokens * rates.audio_input_picos
    picos["output"] = (
        used.output_tokens * rates.output_picos
        + used.audio_output_tokens * rates.audio_output_picos
    )
    picos["reasoning"] = used.reasoning_tokens * rates.output_picos
    shares = share_out(taken_nanos, list(picos.values()))
    parts = dict(zip(picos, shares, strict=True)) | {RETRIES: cost_nanos - taken_nanos}
    return {part: parts[part] for part in PARTS if parts[part]}


def share_out(whole: int, weights: Sequence[int]) -> list[int]:
    """`whole` in whole numbers in proportion to `weights`, which are 0 or more, by largest
    remainder; the last gets all where every weight is 0. The sum is `whole`."""
    total = sum(weights)
    if total == 0:
        return [0] * (len(weights) - 1) + [whole]
    shares = [whole * weight // total for weight in weights]
    by_rest = sorted(range(len(weights)), key=lambda at: -(whole * weights[at] % total))
    for at in by_rest[: whole - sum(shares)]:
        shares[at] += 1
    return shares


def _read_picos(used: Usage, segments: tokenizer_pb.Segments, rates: Rates) -> dict[str, int]:
    """What reading each segment cost: the buckets laid over the prompt, cached tokens first."""
    counted = [getattr(segments, f"{name}_tokens") for name in READ]
    laid = [
        [used.cached_input_tokens, rates.cached_input_picos],
        [used.cache_write_tokens, rates.cache_write_picos],
        [used.cache_write_1h_tokens, rates.cache_write_1h_picos],
        [used.input_tokens, rates.input_picos],
    ]
    text = sum(tokens for tokens, _ in laid)
    picos = dict.fromkeys(READ, 0)
    for name, tokens in zip(READ, share_out(text, counted), strict=True):
        wanted = tokens
        for bucket in laid:
            taken = min(wanted, bucket[0])
            bucket[0] -= taken
            wanted -= taken
            picos[name] += taken * bucket[1]
    return picos
