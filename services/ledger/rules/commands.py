"""The commands that move money, and their answers.

`request_hash` stands for all that a command means: equal hashes are the same command again.
"""

from dataclasses import dataclass
from typing import NamedTuple

from services.ledger.rules.scopes import Called
from services.ledger.rules.values import (
    Attempt,
    Attribution,
    BudgetUnit,
    Entry,
    HoldState,
    Left,
    Notice,
    Tokens,
)


@dataclass(frozen=True, slots=True)
class WorstCase:
    """The most that calling a model can take."""

    model: str
    tokens: Tokens
    provider: str = ""

    @property
    def called(self) -> Called:
        """What would be called."""
        return self.model, self.provider


@dataclass(frozen=True, slots=True)
class Reserve:
    """Set aside what the dearest of `worst_cases` can take or, with `hold_all`, all together.

    `downgraded`: the cheapest model was chosen already."""

    hold_id: str
    request_id: str
    attribution: Attribution
    worst_cases: tuple[WorstCase, ...]
    hold_us: int
    request_hash: str
    downgraded: bool = False
    hold_all: bool = False


class LeaseName(NamedTuple):
    """A grant of a lease."""

    lease_id: str
    epoch: int

    @property
    def hold_id(self) -> str:
        """The hold that it is. No caller's id looks like this: those are UUIDs."""
        return f"{self.lease_id}/{self.epoch}"


class Amounts(NamedTuple):
    """An amount of each unit."""

    nanos: int = 0
    tokens: int = 0
    requests: int = 0

    def of(self, unit: BudgetUnit) -> int:
        """The amount in a unit."""
        return self[unit - 1]


NOTHING = Amounts()


@dataclass(frozen=True, slots=True)
class Draw:
    """A call that was admitted under a lease, as Reserve would have been told of it."""

    lease: LeaseName
    request_id: str
    attribution: Attribution
    worst_cases: tuple[WorstCase, ...]
    hold_all: bool = False


@dataclass(frozen=True, slots=True)
class Settle:
    """Charge what the request used. `tenant` "": whoever's hold it is. With `draw` nobody made
    the hold: it was admitted under a lease."""

    hold_id: str
    attempts: tuple[Attempt, ...]
    request_hash: str
    tenant: str = ""
    draw: Draw | None = None


@dataclass(frozen=True, slots=True)
class Release:
    """Give the whole hold back; `attempts` used nothing. `tenant` and `draw` as in Settle."""

    hold_id: str
    attempts: tuple[Attempt, ...]
    request_hash: str
    tenant: str = ""
    draw: Draw | None = None


@dataclass(frozen=True, slots=True)
class AcquireLease:
    """Set up to `wanted` aside on every budget that counts calls of `called`, but not less than
    `least`. Calls are admitted for `admit_us` and last up to `call_us`."""

    lease: LeaseName
    attribution: Attribution
    called: tuple[Called, ...]
    wanted: Amounts
    least: Amounts
    admit_us: int
    call_us: int
    request_hash: str


@dataclass(frozen=True, slots=True)
class ReturnLease:
    """Give back what a lease has set aside beyond `keep`; with nothing to keep it ends."""

    lease: LeaseName
    tenant: str
    keep: Amounts = NOTHING


@dataclass(frozen=True, slots=True)
class Record:
    """Book what had no hold."""

    request_id: str
    attribution: Attribution
    attempt: Attempt
    request_hash: str


@dataclass(frozen=True, slots=True)
class Correct:
    """Book the difference to what a row costs at the prices known now."""

    tenant: str
    entry_id: str


@dataclass(frozen=True, slots=True)
class ImportUsage:
    """Book what went around the gateway, as of `event_us`."""

    request_id: str
    attribution: Attribution
    attempt: Attempt
    event_us: int
    charges_budgets: bool
    request_hash: str


Command = Reserve | Settle | Release | Record | Correct | ImportUsage | AcquireLease | ReturnLease


@dataclass(frozen=True, slots=True)
class HoldAnswer:
    """A hold as it was when its command was applied."""

    hold_id: str
    held_nanos: int
    state: HoldState
    expire_us: int
    tightest: Left | None
    notices: tuple[Notice, ...] = ()


@dataclass(frozen=True, slots=True)
class Settlement:
    """What was booked against a hold, in the attempts' order."""

    entries: tuple[Entry, ...]
    charged_nanos: int
    hold: HoldAnswer


@dataclass(frozen=True, slots=True)
class Repriced:
    """What a row is booked with, corrections included, and what it costs now."""

    entry_id: str
    model: str
    old_nanos: int
    new_nanos: int
    old_version: str
    new_version: str


@dataclass(frozen=True, slots=True)
class LeaseAnswer:
    """A lease as it was granted. `models` with their price lists, "" for none."""

    lease: LeaseName
    granted: Amounts
    admit_us: int
    expire_us: int
    models: tuple[tuple[Called, str], ...]
    hard: bool
    tightest: Left | None


Answer = HoldAnswer | Settlement | Entry | Repriced | LeaseAnswer
