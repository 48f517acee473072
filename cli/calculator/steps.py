"""The steps that save, in the order they are reckoned in, and what each is assumed to do.

Rates are basis points (hundredths of a percent). Where a rate was measured, `why` says on what.
"""

from dataclasses import dataclass

BP = 10_000
CASES = ("low", "expected", "high")
STEPS = ("caching", "context", "instructions", "compression", "routing", "batch")

# How often an answer was there already, of first questions: nothing; 5,822 open questions (QQP);
# a FAQ of 2,381 (docs/cache-quality.md, "Streams").
HIT_RATE_OF_STREAMS = (0, 1790, 4060)
# Of repeats in other words, served: QQP, GPTCache mock, WebQuestions (docs/cache-quality.md).
SERVED_OF_REPEATS = (5380, 7770, 9010)
# `auto` against never cutting, gpt-5.4 and the like (cached) and without a provider's cache, over
# recorded and stretched conversations (docs/tokens.md, "FitContext").
CONTEXT_CACHED = (0, 190, 280)
CONTEXT_UNCACHED = (1250, 2190, 2380)
# JSON that is compact already; 239 recorded payloads made compact (-21.7 %); the same payloads
# written with an indent of two (23 % more tokens) made compact.
COMPACT_JSON = (0, 2170, 3630)
# Of the price of the strong model, at 99 % of its quality or more: MATH level 5, CRUX, task pool
# (docs/router.md, "Figures").
ROUTED = (720, 4880, 6660)
# Of what can wait, sent as a batch in the end. An assumption: nobody has measured yours.
SENT_AS_BATCH = (8000, 9000, 10_000)
# What providers take off the price of a batch (OpenAI, Anthropic, Google; November 2026).
BATCH_DISCOUNT_BP = 5000

# Hours to set each up, an assumption: a setting with a test of it, or a change of the callers.
HOURS = {
    "caching": 8,
    "context": 8,
    "instructions": 8,
    "compression": 4,
    "routing": 24,
    "batch": 16,
}


@dataclass(frozen=True, slots=True)
class Rate:
    """What a step takes away of what it acts on, in basis points, and why that is believed."""

    low: int
    expected: int
    high: int
    why: str

    def of(self, case: str) -> int:
        """The rate of "low", "expected" or "high"."""
        return {"low": self.low, "expected": self.expected, "high": self.high}[case]


TITLES = {
    "caching": "answers served again",
    "context": "histories fitted",
    "instructions": "instructions shortened",
    "compression": "tool results compacted",
    "routing": "cheaper model where it can",
    "batch": "what can wait, in batches",
}
DO = {
    "caching": "point the callers at the gateway; turn semantic answers on by feature",
    "context": "context: auto, in the fleet file",
    "instructions": "rewrite the instructions; spendgate compression test says if answers stand",
    "compression": "nothing: lossless is the default; level tool_results goes further",
    "routing": 'call the model "auto" with the policy target',
    "batch": "send what can wait as a batch job (docs/batch.md)",
}


def assumed(
    *, repeat_bp: int | None, turns: int, provider_caches: bool, wait_bp: int
) -> dict[str, Rate]:
    """The rates for a workload. `repeat_bp`: requests asked before; None: not known."""
    if repeat_bp is None:
        hits = tuple(each // turns for each in HIT_RATE_OF_STREAMS)
        why = "no repeat rate told: nothing; hits on open questions; hits on a FAQ"
        if turns > 1:
            why += f"; of first turns, so of one request in {turns}"
    else:
        hits = tuple(each * repeat_bp // BP for each in SERVED_OF_REPEATS)
        why = "repeats x served of them as measured: 53.8, 77.7, 90.1 %"
    context = CONTEXT_CACHED if provider_caches else CONTEXT_UNCACHED
    where = "with" if provider_caches else "without"
    sent = tuple(each * wait_bp // BP for each in SENT_AS_BATCH)
    return {
        "caching": _rate(hits, why),
        "context": _rate(
            context, f"of history: `auto` against never cutting, {where} a provider's cache"
        ),
        "instructions": Rate(0, 0, 0, "nothing is claimed until you have tried a shorter one"),
        "compression": _rate(COMPACT_JSON, "of JSON in tool results: compact, recorded, indented"),
        "routing": _rate(
            ROUTED, "of the gap to the cheaper model, at 99 % quality: MATH 5, CRUX, task pool"
        ),
        "batch": _rate(sent, "80, 90, 100 % of what can wait (assumed), at half the price"),
    }


def _rate(points: tuple[int, ...], why: str) -> Rate:
    low, expected, high = points
    return Rate(low, expected, high, why)
