"""Sentences about decisions, with their numbers. Names in them are the operator's own."""

from collections.abc import Sequence
from datetime import datetime

from catalog.models import ModelCard
from catalog.money import usd_text
from catalog.schema import Capability


def cheapest_explained(
    chosen: tuple[str, int],
    runner_up: tuple[str, int] | None,
    *,
    able_count: int,
    left_out_count: int,
) -> str:
    """Why "auto" took a model. `chosen` and `runner_up`: name and expected nano-USD."""
    name, nanos = chosen
    if runner_up is None:
        text = f"{name} is the only model that can answer, expected at {usd_text(nanos)} USD"
    else:
        text = (
            f"{name} is the cheapest of {able_count} models that can answer, expected at"
            f" {usd_text(nanos)} USD; next is {runner_up[0]} at {usd_text(runner_up[1])} USD"
        )
    return f"{text}; {left_out_count} left out." if left_out_count else f"{text}."


def fixed_explained(
    name: str, *, alias: str | None, expected_nanos: int | None, worst_nanos: int | None
) -> str:
    """Why a named model was taken."""
    asked = f"{name} was asked for" + (f" as {alias}" if alias else " by name")
    if expected_nanos is None or worst_nanos is None:
        return f"{asked}; its price is unknown."
    return f"{asked}; expected at {usd_text(expected_nanos)} USD, at most {usd_text(worst_nanos)}."


def lacking_detail(lacking: Sequence[Capability], *, known: bool) -> str:
    """What a model cannot do."""
    names = ", ".join(lacking)
    return f"lacks {names}" if known else f"is not known to have {names}"


def window_detail(input_tokens: int, output_tokens: int, window_tokens: int) -> str:
    """How far a request goes over a context window."""
    return (
        f"reads {input_tokens:,} and may write {output_tokens:,} tokens,"
        f" its window holds {window_tokens:,}"
    )


def output_detail(asked_tokens: int, limit_tokens: int) -> str:
    """How far a request goes over an output limit."""
    return f"asked for {asked_tokens:,} output tokens, it writes {limit_tokens:,} at most"


def cost_max_detail(worst_nanos: int, cost_max_nanos: int) -> str:
    """How far a worst case goes over the caller's limit."""
    return f"may cost {usd_text(worst_nanos)} USD, over the limit of {usd_text(cost_max_nanos)}"


def deprecated_detail(card: ModelCard, at: datetime) -> str:
    """That the provider advises against a model and when it goes; "" when it does not."""
    if not card.deprecated(at) or card.deprecate_time is None:
        return ""
    text = f"its provider advises against it since {card.deprecate_time.date().isoformat()}"
    if card.retire_time is None:
        return text
    return f"{text} and switches it off on {card.retire_time.date().isoformat()}"
