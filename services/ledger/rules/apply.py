"""From a command to its verb, and from many commands to many outcomes."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from services.ledger.rules.books import Books
from services.ledger.rules.commands import (
    AcquireLease,
    Answer,
    Command,
    Correct,
    ImportUsage,
    Record,
    Release,
    Reserve,
    ReturnLease,
    Settle,
)
from services.ledger.rules.correct import correct
from services.ledger.rules.import_usage import import_usage
from services.ledger.rules.lease import acquire, give_back
from services.ledger.rules.record import record
from services.ledger.rules.refusals import Refusal
from services.ledger.rules.release import release
from services.ledger.rules.reserve import reserve
from services.ledger.rules.settle import settle

Outcome = Answer | Refusal

_VERBS: Mapping[type, Callable[[Books, Any], Answer]] = {
    Reserve: reserve,
    Settle: settle,
    Release: release,
    Record: record,
    Correct: correct,
    ImportUsage: import_usage,
    AcquireLease: acquire,
    ReturnLease: give_back,
}


def apply(books: Books, command: Command) -> Answer:
    """Does one command, or finds the answer it had before.

    Raises: a Refusal, the first that applies in the order of the contract's ErrorReason. The
    books are as they were then.
    """
    verb: Callable[[Books, Any], Answer] = _VERBS[type(command)]
    return verb(books, command)


def apply_all(books: Books, commands: Iterable[Command]) -> Sequence[Outcome]:
    """Lets lapsed holds go, then does the commands in order; one outcome each."""
    books.lapse()
    outcomes: list[Outcome] = []
    for command in commands:
        try:
            outcomes.append(apply(books, command))
        except Refusal as refusal:
            # Without its frames: they would keep the whole books alive.
            outcomes.append(refusal.with_traceback(None))
    return outcomes
