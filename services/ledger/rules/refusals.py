"""Why the ledger says no. Each carries the numbers its status needs."""

from services.ledger.rules.values import HoldState


class Refusal(Exception):
    """A command or question that the books turn down. Nothing was changed."""


class PageInvalid(Refusal):
    """The page size or token is not one this service gave. `field` says which."""

    def __init__(self, field: str, description: str) -> None:
        super().__init__(field)
        self.field = field
        self.description = description


class IdReused(Refusal):
    """The id was used for another command."""

    def __init__(self, used_id: str) -> None:
        super().__init__(used_id)
        self.used_id = used_id


class HoldUnknown(Refusal):
    """No such hold."""

    def __init__(self, hold_id: str) -> None:
        super().__init__(hold_id)
        self.hold_id = hold_id


class HoldResolved(Refusal):
    """The hold was resolved in another way."""

    def __init__(self, hold_id: str, state: HoldState) -> None:
        super().__init__(hold_id)
        self.hold_id = hold_id
        self.state = state


class UsageImpossible(Refusal):
    """The tokens at `field` cannot be."""

    def __init__(self, field: str) -> None:
        super().__init__(field)
        self.field = field


class ModelUnpriced(Refusal):
    """The price of a model is unknown, so its cost cannot be told."""

    def __init__(self, model: str) -> None:
        super().__init__(model)
        self.model = model


class BudgetExceeded(Refusal):
    """A budget would be broken. Amounts in nano-USD; `reset_us` None for a lifetime."""

    def __init__(
        self,
        budget_id: str,
        *,
        limit_nanos: int,
        left_nanos: int,
        needed_nanos: int,
        reset_us: int | None,
    ) -> None:
        super().__init__(budget_id)
        self.budget_id = budget_id
        self.limit_nanos = limit_nanos
        self.left_nanos = left_nanos
        self.needed_nanos = needed_nanos
        self.reset_us = reset_us


class BudgetUnknown(Refusal):
    """No such budget."""

    def __init__(self, budget_id: str) -> None:
        super().__init__(budget_id)
        self.budget_id = budget_id


class KeyInvalid(Refusal):
    """The key does not open anything; why is nobody's business."""


class KeyUnknown(Refusal):
    """No such key."""

    def __init__(self, key_id: str) -> None:
        super().__init__(key_id)
        self.key_id = key_id


class BooksUnavailable(Refusal):
    """The database did not answer; nothing was booked."""
