"""Outcomes as reported, from messages to what is kept. File IO and CPU work."""

from collections.abc import Sequence
from datetime import datetime

from spendgate.router.v1 import router_service_pb2 as pb

from catalog.fleet import Fleet
from catalog.price import cost_nanos
from catalog.prices import Unpriced
from catalog.usage import Usage
from services.router.check import check_outcome
from services.router.mind import Mind
from services.router.own.health import Ending
from services.router.own.tenant import Source, Told, Used

_SOURCES = {
    pb.OUTCOME_SOURCE_USER: Source.USER,
    pb.OUTCOME_SOURCE_VALIDATOR: Source.VALIDATOR,
    pb.OUTCOME_SOURCE_JUDGE: Source.JUDGE,
    pb.OUTCOME_SOURCE_SHADOW: Source.SHADOW,
    pb.OUTCOME_SOURCE_CALL: Source.CALL,
}
_ENDINGS = {
    pb.CALL_STATUS_OK: Ending.OK,
    pb.CALL_STATUS_ERROR: Ending.ERROR,
    pb.CALL_STATUS_RATE_LIMITED: Ending.RATE_LIMITED,
    pb.CALL_STATUS_TIMEOUT: Ending.TIMEOUT,
}


def report(
    fleet: Fleet, mind: Mind, items: Sequence[pb.Outcome], at: datetime
) -> list[pb.OutcomeTaken | Exception]:
    """One answer or exception an item, in order."""
    told: list[tuple[str, Told] | Exception] = []
    for item in items:
        try:
            check_outcome(item)
            told.append((item.tenant, _told(fleet, item, at)))
        except Exception as error:
            told.append(error)
    good = [each for each in told if not isinstance(each, Exception)]
    taken = iter(mind.tell(good))
    answers: list[pb.OutcomeTaken | Exception] = []
    for item, each in zip(items, told, strict=True):
        answer = each if isinstance(each, Exception) else next(taken)
        if isinstance(answer, Exception):
            answers.append(answer)
            continue
        if answer and item.status and not isinstance(each, Exception):
            ending = _ENDINGS[item.status]
            mind.note_call(each[1].model, ending, item.latency_ms, at.timestamp())
        answers.append(pb.OutcomeTaken(repeated_report=not answer))
    return answers


def _told(fleet: Fleet, item: pb.Outcome, at: datetime) -> Told:
    """Raises UnknownModel."""
    model = fleet.book.name_of(item.model)
    used = None
    if item.status == pb.CALL_STATUS_OK:
        usage = Usage(
            input_tokens=item.input_tokens - item.cached_input_tokens,
            cached_input_tokens=item.cached_input_tokens,
            output_tokens=item.output_tokens,
        )
        baseline = fleet.baseline_model(at)
        used = Used(
            item.input_tokens,
            item.cached_input_tokens,
            item.output_tokens,
            _nanos(fleet, model, usage, at),
            None if baseline is None else _nanos(fleet, baseline, usage, at),
        )
    return Told(
        item.request_id,
        model,
        _SOURCES[item.source],
        at.timestamp(),
        item.score if item.HasField("score") else None,
        used,
    )


def _nanos(fleet: Fleet, model: str, usage: Usage, at: datetime) -> int | None:
    try:
        return cost_nanos(fleet.book.price(model, at), usage)
    except Unpriced:
        return None
