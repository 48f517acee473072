"""The list of clients/conformance/README.md, run by this client."""

import json
import os
import sys
import threading
from collections.abc import Callable

from spendgate.gateway.v1 import gateway_service_pb2 as pb
from spendgate_client import (
    Ask,
    BudgetExceeded,
    Cancelled,
    DeadlinePassed,
    InvalidRequest,
    KeyInvalid,
    Spendgate,
    SpendgateError,
)

ADDRESS = os.environ["SPENDGATE_ADDRESS"]
HANG = os.environ["SPENDGATE_HANG_MODEL"]
OWN = f"python {os.getpid()}"


class Wrong(Exception):
    """A case does not hold."""


def check(holds: bool, what: str) -> None:
    if not holds:
        raise Wrong(what)


def refused(kind: type[SpendgateError], work: Callable[[], object]) -> SpendgateError:
    try:
        work()
    except kind as error:
        return error
    raise Wrong(f"no {kind.__name__}")


def complete(gate: Spendgate) -> None:
    answer = gate.complete(f"Say hello, {OWN}.", Ask(options={"feature": "conformance"}))
    summary = answer.summary
    check(bool(answer.text and summary.request_id) and summary.cost_nanos > 0, "empty")


def stream(gate: Spendgate) -> None:
    *pieces, last = gate.stream(f"Count to three, {OWN}.")
    check(len(pieces) > 1 and all(piece.text for piece in pieces), "too few pieces")
    check(last.summary is not None, "no summary")


def cache_hit(gate: Spendgate) -> None:
    gate.complete(f"Twice the same, {OWN}.")
    summary = gate.complete(f"Twice the same, {OWN}.").summary
    check(summary.source == pb.ANSWER_SOURCE_CACHE_EXACT, "not from the cache")
    check(summary.cost_nanos == 0, "not free")


def budget_refused(_: Spendgate) -> None:
    with Spendgate(ADDRESS, os.environ["SPENDGATE_POOR_KEY"]) as poor:
        error = refused(BudgetExceeded, lambda: poor.complete(f"Too dear, {OWN}."))
    check(isinstance(error, BudgetExceeded) and error.budget_id == "poor", "not named")
    check(isinstance(error, BudgetExceeded) and error.limit_nanos == 1, "not its limit")
    check(isinstance(error, BudgetExceeded) and "poor" in next(iter(error.quota)), "no subject")


def invalid_argument(gate: Spendgate) -> None:
    error = refused(InvalidRequest, lambda: gate.complete([]))
    named = isinstance(error, InvalidRequest) and "prompt.messages" in error.violations
    check(named, "the field is not named")


def key_invalid(_: Spendgate) -> None:
    with Spendgate(ADDRESS, "sk-nobody") as stranger:
        refused(KeyInvalid, lambda: stranger.complete("Who am I?"))


def deadline(gate: Spendgate) -> None:
    ask = Ask(model=HANG, deadline_seconds=0.5)
    refused(DeadlinePassed, lambda: gate.complete(f"Hang, {OWN}.", ask))


def cancel(_: Spendgate) -> None:
    gate = Spendgate(ADDRESS, os.environ["SPENDGATE_KEY"])
    threading.Timer(0.2, gate.close).start()
    refused(Cancelled, lambda: list(gate.stream(f"Hang and be left, {OWN}.", Ask(model=HANG))))


def trace(gate: Spendgate) -> None:
    trace_id = os.environ["SPENDGATE_TRACE_ID"]
    ask = Ask(traceparent=f"00-{trace_id}-00f067aa0ba902b7-01")
    summary = gate.complete(f"Trace me, {OWN}.", ask).summary
    check(summary.trace_id == trace_id, "another trace")


def unicode(gate: Spendgate) -> None:
    text = f"Grüße, 你好, مرحبا, नमस्ते, 👩‍👩‍👧, e\u0301 from {OWN}"
    check(bool(gate.complete(text).text), "empty")


def large(gate: Spendgate) -> None:
    check(bool(gate.complete(f"{OWN} " + "a word and another " * (2**19 // 19)).text), "empty")


CASES = (
    *(complete, stream, cache_hit, budget_refused, invalid_argument, key_invalid),
    *(deadline, cancel, trace, unicode, large),
)


def main() -> int:
    failed = 0
    with Spendgate(ADDRESS, os.environ["SPENDGATE_KEY"]) as gate:
        for case in CASES:
            text = ""
            try:
                case(gate)
            except (Wrong, SpendgateError) as error:
                text, failed = f"{type(error).__name__}: {error}", failed + 1
            print(json.dumps({"case": case.__name__, "ok": not text, "error": text}), flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
