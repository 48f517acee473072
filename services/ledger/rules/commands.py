"""The four commands that move money, and their answers.

`request_hash` stands for all that a command means: equal hashes are the same command again.
"""

from dataclasses import dataclass

from services.ledger.rules.values import Attempt, Attribution, Entry, HoldState, Left, Tokens


@dataclass(frozen=True, slots=True)
class Reserve:
    """Set money aside for the dearest of `worst_cases` (model, most tokens), or for all."""

    hold_id: str
    request_id: str
    attribution: Attribution
    worst_cases: tuple[tuple[str, Tokens], ...]
    hold_us: int
    request_hash: str
    hold_all: bool = False


@dataclass(frozen=True, slots=True)
class Settle:
    """Charge what the request used."""

    hold_id: str
    attempts: tuple[Attempt, ...]
    request_hash: str


@dataclass(frozen=True, slots=True)
class Release:
    """Give the whole hold back; `attempts` used nothing."""

    hold_id: str
    attempts: tuple[Attempt, ...]
    request_hash: str


@dataclass(frozen=True, slots=True)
class Record:
    """Book what had no hold."""

    request_id: str
    attribution: Attribution
    attempt: Attempt
    request_hash: str


@dataclass(frozen=True, slots=True)
class ImportUsage:
    """Book what went around the gateway, as of `event_us`."""

    request_id: str
    attribution: Attribution
    attempt: Attempt
    event_us: int
    charges_budgets: bool
    request_hash: str


Command = Reserve | Settle | Release | Record | ImportUsage


@dataclass(frozen=True, slots=True)
class HoldAnswer:
    """A hold as it was when its command was applied."""

    hold_id: str
    held_nanos: int
    state: HoldState
    expire_us: int
    tightest: Left | None


@dataclass(frozen=True, slots=True)
class Settlement:
    """What was booked against a hold, in the attempts' order."""

    entries: tuple[Entry, ...]
    charged_nanos: int
    hold: HoldAnswer


Answer = HoldAnswer | Settlement | Entry
