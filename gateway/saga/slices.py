"""One epoch of a lease as its holder keeps account of it: what is left, what is under way."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from spendgate.chat.v1 import chat_pb2
from spendgate.ledger.v1 import lease_pb2
from spendgate.ledger.v1 import ledger_service_pb2 as ledger_pb

from catalog.price import ModelPrice, hold_nanos
from catalog.prices import PriceBook, UnknownModel, Unpriced
from catalog.usage import BUCKETS, ImpossibleUsage, Usage


class Need(NamedTuple):
    """Amounts as a lease counts them."""

    nanos: int
    tokens: int
    requests: int

    def plus(self, other: "Need") -> "Need":
        """Both together."""
        return Need(*(a + b for a, b in zip(self, other, strict=True)))

    def minus(self, other: "Need") -> "Need":
        """What this is beyond the other; below 0 where the other is more."""
        return Need(*(a - b for a, b in zip(self, other, strict=True)))


NOTHING = Need(0, 0, 0)


@dataclass(slots=True, eq=False)
class Slice:
    """An epoch that was granted. `until` and `ends` are on the monotonic clock: until when calls
    may be admitted, and when what they take must be told."""

    lease: lease_pb2.Lease
    tenant: str
    left: Need
    until: float
    ends: float
    under_way: dict[str, Need] = field(default_factory=dict)
    # Calls whose charge the ledger has not confirmed: it may still come to draw on the slice.
    untold: bool = False

    @property
    def versions(self) -> Mapping[tuple[str, str], str]:
        """The price list of each model that it covers."""
        return {(m.model, m.provider): m.price_version for m in self.lease.models}

    def admit(self, hold_id: str, need: Need) -> bool:
        """Takes a call's worst case out of what is left, if there is so much."""
        left = self.left.minus(need)
        if min(left) < 0:
            return False
        self.left = left
        self.under_way[hold_id] = need
        return True

    def over(self, hold_id: str, used: Need | None) -> None:
        """A call ended and used so much; None: nobody has confirmed what, so that all of its worst
        case stays taken."""
        need = self.under_way.pop(hold_id, None)
        if need is None:
            return
        if used is None:
            self.untold = True
        else:
            self.left = self.left.plus(need).minus(used)

    def keep(self) -> Need:
        """What calls under way may still take."""
        kept = NOTHING
        for need in self.under_way.values():
            kept = kept.plus(need)
        return kept


def need_of(
    book: PriceBook,
    item: ledger_pb.ReserveItem,
    versions: Mapping[tuple[str, str], str],
    at: datetime,
) -> Need | None:
    """The most that a call can take. None: one of its models is not covered, or is priced by
    another list than the ledger's."""
    costs: list[int] = []
    tokens: list[int] = []
    for case in item.worst_cases:
        price = _price(book, case.model, at)
        if price is None or price.version != versions.get((case.model, case.provider)):
            return None
        try:
            usage = Usage(**{bucket: getattr(case.usage, bucket) for bucket in BUCKETS})
        except ImpossibleUsage:
            return None
        costs.append(hold_nanos(price, usage))
        tokens.append(counted(case.usage))
    together = sum if item.hold_all else max
    return Need(together(costs), together(tokens), 1)


def used_of(settlement: ledger_pb.Settlement) -> Need:
    """What a call took."""
    tokens = sum(counted(entry.attempt.usage) for entry in settlement.entries)
    return Need(settlement.charged_nanos, tokens, 1)


def counted(usage: chat_pb2.TokenUsage) -> int:
    """Tokens as budgets count them: all but those the provider's cache served."""
    whole = sum(int(getattr(usage, bucket)) for bucket in BUCKETS)
    return whole - int(usage.cached_input_tokens)


def models_of(item: ledger_pb.ReserveItem) -> Sequence[tuple[str, str]]:
    """What may be called."""
    return [(case.model, case.provider) for case in item.worst_cases]


def _price(book: PriceBook, model: str, at: datetime) -> ModelPrice | None:
    try:
        return book.price(model, at)
    except (UnknownModel, Unpriced):
        return None
