"""A provider's own numbers against the books: how far they are apart, and why."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum

from catalog.money import usd_text
from services.ledger.rules.values import Tokens

PERMILLE = 1000
TOLERANCE_PERMILLE_DEFAULT = 5
# Batch and flex tiers cost half.
AGREE = "they agree"
HALF_LOW_PERMILLE, HALF_HIGH_PERMILLE = 480, 520


class DriftCause(IntEnum):
    """Why both sides differ. The numbers of the contract."""

    NONE = 1
    AROUND_GATEWAY = 2
    NOT_BILLED = 3
    TOKENS = 4
    CACHE_SPLIT = 5
    PRICE = 6
    TIER = 7
    MODEL_UNKNOWN = 8


@dataclass(frozen=True, slots=True)
class Line:
    """What one side says of a day, a model and a provider; None where it says nothing."""

    day: str
    model: str
    provider: str = ""
    requests: int | None = None
    tokens: Tokens | None = None
    cost_nanos: int | None = None


@dataclass(frozen=True, slots=True)
class Drift:
    """Both sides, how far the books are above the provider, and why."""

    theirs: Line
    ours: Line
    cost_nanos: int | None
    cause: DriftCause
    explanation: str


def reconcile(
    theirs: Iterable[Line],
    ours: Iterable[Line],
    *,
    same: Callable[[str], str],
    known: Callable[[str], bool],
    tolerance_permille: int = TOLERANCE_PERMILLE_DEFAULT,
) -> list[Drift]:
    """One drift for each day, model and provider that either side knows.

    `same` gives a model's one name on both sides, `known` whether the fleet has such a model. A
    line without a provider is held against all providers of its model; the books' providers are
    then put together.
    """
    bare = {not line.provider for line in theirs}
    told = _together(theirs, same, with_provider=bare == {False})
    booked = _together(ours, same, with_provider=bare == {False})
    found = []
    for key in sorted(told.keys() | booked.keys()):
        day, model, provider = key
        nothing = Line(day, model, provider)
        their, our = told.get(key, nothing), booked.get(key, nothing)
        if key in told and key in booked:
            cause, why = _cause(their, our, tolerance_permille)
        else:
            cause, why = _one_sided(told=key in told, known=known(model))
        apart = None
        if their.cost_nanos is not None or key not in told:
            apart = (our.cost_nanos or 0) - (their.cost_nanos or 0)
        found.append(Drift(their, our, apart, cause, why))
    return found


def _together(
    lines: Iterable[Line], same: Callable[[str], str], *, with_provider: bool
) -> dict[tuple[str, str, str], Line]:
    found: dict[tuple[str, str, str], Line] = {}
    for line in lines:
        key = (line.day, same(line.model), line.provider if with_provider else "")
        other = found.get(key)
        named = replace(line, model=key[1], provider=key[2])
        found[key] = named if other is None else _sum(other, named)
    return found


def _sum(one: Line, other: Line) -> Line:
    def add(a: int | None, b: int | None) -> int | None:
        return None if a is None and b is None else (a or 0) + (b or 0)

    tokens = [each for each in (one.tokens, other.tokens) if each is not None]
    return replace(
        one,
        requests=add(one.requests, other.requests),
        tokens=Tokens(*map(sum, zip(*tokens, strict=True))) if tokens else None,
        cost_nanos=add(one.cost_nanos, other.cost_nanos),
    )


def _one_sided(*, told: bool, known: bool) -> tuple[DriftCause, str]:
    if not told:
        return DriftCause.NOT_BILLED, "the provider tells nothing of it: not billed, or not yet"
    if not known:
        return DriftCause.MODEL_UNKNOWN, "the fleet file has no such model"
    return DriftCause.AROUND_GATEWAY, "nothing of it is in the books: it went around"


def _cause(their: Line, our: Line, tolerance: int) -> tuple[DriftCause, str]:
    requests = our.requests or 0
    if their.requests is not None and not _near(their.requests, requests, tolerance):
        apart = their.requests - requests
        if apart > 0:
            return DriftCause.AROUND_GATEWAY, f"{apart:,} requests are not in the books"
        return DriftCause.NOT_BILLED, f"{-apart:,} requests are in the books only"
    tokens = _token_cause(their.tokens, our.tokens, tolerance)
    told = their.cost_nanos is not None and our.cost_nanos is not None
    if told and _near(their.cost_nanos or 0, our.cost_nanos or 0, tolerance):
        # The money agrees: other shares of cached tokens made no difference.
        tokens = tokens if tokens and tokens[0] is DriftCause.TOKENS else (DriftCause.NONE, AGREE)
    if tokens is not None:
        return tokens
    if not told:
        return DriftCause.NONE, AGREE
    sure = their.tokens is not None
    return _price_cause(their.cost_nanos or 0, our.cost_nanos or 0, sure=sure)


def _token_cause(
    their: Tokens | None, our: Tokens | None, tolerance: int
) -> tuple[DriftCause, str] | None:
    if their is None or our is None:
        return None
    read = [_read(their), _read(our)]
    written = [_written(their), _written(our)]
    if not (_near(read[0], read[1], tolerance) and _near(written[0], written[1], tolerance)):
        return (
            DriftCause.TOKENS,
            f"{read[0]:,} read and {written[0]:,} written there, {read[1]:,} and {written[1]:,}"
            " here",
        )
    buckets = ("cached_input_tokens", "cache_write_tokens", "cache_write_1h_tokens")
    for name in buckets:
        one, other = getattr(their, name), getattr(our, name)
        # Against all that was read: a few cached tokens more are no cause.
        if abs(one - other) * PERMILLE > max(read) * tolerance:
            return DriftCause.CACHE_SPLIT, f"{name}: {one:,} there, {other:,} here"
    return None


def _price_cause(their: int, our: int, *, sure: bool) -> tuple[DriftCause, str]:
    share = their * PERMILLE // our if our else PERMILLE
    if HALF_LOW_PERMILLE <= share <= HALF_HIGH_PERMILLE:
        return DriftCause.TIER, "half the price: a batch or flex tier"
    numbers = f"{usd_text(their)} USD there, {usd_text(our)} USD here"
    if sure:
        return DriftCause.PRICE, f"the same tokens at another price: {numbers}"
    if their > our:
        return DriftCause.AROUND_GATEWAY, f"{numbers}; without tokens it may also be the price"
    return DriftCause.NOT_BILLED, f"{numbers}; without tokens it may also be the price"


def _near(one: int, other: int, tolerance: int) -> bool:
    return abs(one - other) * PERMILLE <= max(abs(one), abs(other)) * tolerance


def _read(tokens: Tokens) -> int:
    return (
        tokens.input_tokens
        + tokens.cached_input_tokens
        + tokens.cache_write_tokens
        + tokens.cache_write_1h_tokens
        + tokens.audio_input_tokens
        + tokens.image_input_tokens
    )


def _written(tokens: Tokens) -> int:
    return (
        tokens.output_tokens
        + tokens.reasoning_tokens
        + tokens.audio_output_tokens
        + tokens.image_output_tokens
    )


def totals(drifts: Sequence[Drift]) -> tuple[int | None, int]:
    """(what the provider charged in all, None where it told no cost; what the books have)."""
    told = [d.theirs.cost_nanos for d in drifts if d.theirs.cost_nanos is not None]
    return (sum(told) if told else None), sum(d.ours.cost_nanos or 0 for d in drifts)
