"""Why the ledger says no. Each carries the numbers its status needs."""

from services.ledger.rules.values import BudgetUnit, HoldState, Notice


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
    """A budget would be broken. `notice` says which, by how much, until when."""

    def __init__(self, notice: Notice) -> None:
        super().__init__(notice.budget_id)
        self.notice = notice


class BudgetDowngrade(Refusal):
    """A budget would be broken that wants the cheapest model then. `notice` as above."""

    def __init__(self, notice: Notice) -> None:
        super().__init__(notice.budget_id)
        self.notice = notice


class LeaseRefused(Refusal):
    """No slice of a budget can be had, `why`: calls must reserve one by one."""

    def __init__(self, budget_id: str, why: str) -> None:
        super().__init__(budget_id)
        self.budget_id = budget_id
        self.why = why


class LeaseFenced(Refusal):
    """The epoch of the lease is over, or its name was used for another grant."""

    def __init__(self, lease_id: str, epoch: int) -> None:
        super().__init__(lease_id)
        self.lease_id = lease_id
        self.epoch = epoch


class EntryUnknown(Refusal):
    """No such row, or one that cannot be priced again."""

    def __init__(self, entry_id: str) -> None:
        super().__init__(entry_id)
        self.entry_id = entry_id


class BudgetUnknown(Refusal):
    """No such budget."""

    def __init__(self, budget_id: str) -> None:
        super().__init__(budget_id)
        self.budget_id = budget_id


class BudgetUnitOther(Refusal):
    """The budget counts something else than the change is about."""

    def __init__(self, budget_id: str, unit: BudgetUnit) -> None:
        super().__init__(budget_id)
        self.budget_id = budget_id
        self.unit = unit


class KeyInvalid(Refusal):
    """The key does not open anything; why is nobody's business."""


class KeyUnknown(Refusal):
    """No such key."""

    def __init__(self, key_id: str) -> None:
        super().__init__(key_id)
        self.key_id = key_id


class BooksUnavailable(Refusal):
    """The database did not answer; nothing was booked."""
