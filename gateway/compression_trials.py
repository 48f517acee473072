"""TestCompression: do answers stay the same when prompts are made shorter?"""

import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from typing import Any, Final, TypeVar

from spendgate.chat.v1 import chat_pb2
from spendgate.gateway.v1 import gateway_service_pb2 as pb
from spendgate.ledger.v1 import entry_pb2

from chassis.deadline import Deadline
from chassis.errors import FieldViolation, InvalidFields
from gateway.door import Door, Identity
from gateway.saga.usage import text_of
from gateway.similarity import FULL, Similarity, compare

THRESHOLD_PERMILLE_DEFAULT: Final = 850
PROMPTS_MAX: Final = 64
RUNS_DEFAULT: Final = 2
RUNS_MAX: Final = 5
ResultT = TypeVar("ResultT")
# Prompts whose calls are under way at once.
_PROMPTS_AT_ONCE: Final = 2


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, and until when."""

    identity: Identity
    traceparent: str
    deadline: Deadline


@dataclass(frozen=True, slots=True)
class _Trial:
    told: pb.CompressionTrial
    cost_nanos: int
    saved_nanos: int


class CompressionTest:
    """Runs the test through the door, as its caller would."""

    def __init__(self, door: Door, similarity: Similarity) -> None:
        self._door = door
        self._similarity = similarity

    async def run(
        self, request: pb.TestCompressionRequest, caller: Caller
    ) -> pb.TestCompressionResponse:
        """Raises: InvalidFields; what the door raises, by the first call that fails."""
        _check(request)
        turns = asyncio.Semaphore(_PROMPTS_AT_ONCE)

        async def one(prompt: chat_pb2.Prompt) -> _Trial:
            async with turns:
                return await self._trial(request, prompt, caller)

        trials = await _together([one(prompt) for prompt in request.prompts])
        told = [trial.told for trial in trials]
        threshold = request.threshold_permille or THRESHOLD_PERMILLE_DEFAULT
        relative = _mean([trial.relative_permille for trial in told])
        return pb.TestCompressionResponse(
            passed=relative >= threshold,
            threshold_permille=threshold,
            relative_permille=relative,
            yardstick_permille=_mean([trial.yardstick_permille for trial in told]),
            trials=told,
            cost_nanos=sum(trial.cost_nanos for trial in trials),
            saved_nanos=sum(trial.saved_nanos for trial in trials),
            method=", ".join(dict.fromkeys(trial.method for trial in told)),
        )

    async def _trial(
        self, request: pb.TestCompressionRequest, prompt: chat_pb2.Prompt, caller: Caller
    ) -> _Trial:
        runs = request.runs or RUNS_DEFAULT
        level = request.options.compression.level
        answers = await _together(
            [
                self._door.complete(
                    _call(request, prompt, each),
                    caller.identity,
                    caller.traceparent,
                    caller.deadline,
                )
                for each in (*[pb.COMPRESSION_LEVEL_OFF] * runs, *[level] * runs)
            ]
        )
        texts = [text_of(answer.choices) for answer in answers]
        pairs = [*combinations(texts[:runs], 2), *product(texts[:runs], texts[runs:])]
        found, method = await compare(pairs, self._similarity)
        among = runs * (runs - 1) // 2
        yardstick, similarity = _mean(found[:among]), _mean(found[among:])
        before, after = answers[0].summary, answers[-1].summary
        told = pb.CompressionTrial(
            yardstick_permille=yardstick,
            similarity_permille=similarity,
            relative_permille=min(FULL, similarity * FULL // yardstick) if yardstick else 0,
            original_tokens=after.shaping.original_tokens or _tokens_of(before),
            sent_tokens=after.shaping.sent_tokens or _tokens_of(before),
            method=method,
        )
        saved = sum(
            saving.saved_nanos
            for answer in answers[runs:]
            for saving in answer.summary.savings
            if saving.cause == entry_pb2.SAVING_CAUSE_COMPRESSION
        )
        return _Trial(told, sum(answer.summary.cost_nanos for answer in answers), saved)


def _check(request: pb.TestCompressionRequest) -> None:
    violations = []
    if not 1 <= len(request.prompts) <= PROMPTS_MAX:
        violations.append(FieldViolation("prompts", f"takes 1 to {PROMPTS_MAX} prompts"))
    if request.options.compression.level <= pb.COMPRESSION_LEVEL_OFF:
        violations.append(
            FieldViolation("options.compression.level", "is required: the level to test")
        )
    if not 0 <= request.threshold_permille <= FULL:
        violations.append(FieldViolation("threshold_permille", f"is between 1 and {FULL}"))
    if request.runs and not RUNS_DEFAULT <= request.runs <= RUNS_MAX:
        violations.append(FieldViolation("runs", f"is between {RUNS_DEFAULT} and {RUNS_MAX}"))
    if violations:
        raise InvalidFields("REQUEST_INVALID", *violations)


def _call(
    request: pb.TestCompressionRequest, prompt: chat_pb2.Prompt, level: pb.CompressionLevel
) -> pb.CompleteRequest:
    options = pb.RequestOptions()
    options.CopyFrom(request.options)
    options.cache_mode = pb.CACHE_MODE_OFF
    options.compression.level = level
    return pb.CompleteRequest(model=request.model, prompt=prompt, options=options)


def _tokens_of(summary: pb.Summary) -> int:
    usage = summary.usage
    return usage.input_tokens + usage.cached_input_tokens + usage.cache_write_tokens


async def _together(work: Sequence[Coroutine[Any, Any, ResultT]]) -> list[ResultT]:
    """All results in order. The first failure ends the rest and is raised as it is."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(each) for each in work]
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None
    return [task.result() for task in tasks]


def _mean(numbers: Sequence[int]) -> int:
    return sum(numbers) // len(numbers)
