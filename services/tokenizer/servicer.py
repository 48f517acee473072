"""TokenizerService: proto in, a verb, proto out."""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, Final, TypeVar

import grpc
from opentelemetry.trace import Span
from spendgate.tokenizer.v1 import tokenizer_service_pb2 as pb
from spendgate.tokenizer.v1 import tokenizer_service_pb2_grpc as pb_grpc

from chassis import names
from chassis.batch import Live, answer_batch
from services.tokenizer import limits
from services.tokenizer.compress.compress import compress
from services.tokenizer.compress.convert import (
    compress_result,
    compressed_of,
    options_of,
    prompt_options_of,
)
from services.tokenizer.context.convert import (
    fit_of,
    fit_result,
    fitted_of,
    prepared_of,
    wish_of,
)
from services.tokenizer.context.fit import fit
from services.tokenizer.context.known import Conversations
from services.tokenizer.convert import (
    count_of,
    count_result,
    method_name,
    prepare_result,
    truncate_result,
    truncated_of,
    truncation_of,
)
from services.tokenizer.count import count
from services.tokenizer.errors import ERRORS
from services.tokenizer.estimate import Ratios
from services.tokenizer.memo import Memo
from services.tokenizer.meter import Meter, Tally
from services.tokenizer.models import model_of
from services.tokenizer.prepare import Ask, prepare
from services.tokenizer.texts.truncate import truncate
from services.tokenizer.vocabulary import Checkpoint, Vocabularies
from services.tokenizer.workers import SLICE_BYTES_MAX, Job, Workers

# Any of the contract's items.
ItemT = TypeVar("ItemT", bound=Any)
OutcomeT = TypeVar("OutcomeT")

# A message or a piece of one takes about as long to walk over as this much text to count.
_STEP_BYTES: Final = 256
# A text is counted whole, in parts, and what is left of it again.
_TRUNCATE_COUNTS: Final = 4
# Each message is counted, and what is cut is searched for facts.
_FIT_COUNTS: Final = 4
# Each rule reads a text and has it counted.
_COMPRESS_COUNTS: Final = 16


class TokenizerServicer(pb_grpc.TokenizerServiceServicer):
    """Counts; holds no text beyond the call, only keyed hashes of what it counted."""

    def __init__(
        self,
        *,
        vocabularies: Vocabularies,
        ratios: Ratios,
        workers: Workers,
        memo: Memo[Tally],
        conversations: Conversations,
        now: Callable[[], float],
    ) -> None:
        """`now` is seconds on a clock that only goes forward."""
        self._vocabularies = vocabularies
        self._ratios = ratios
        self._workers = workers
        self._memo = memo
        self._conversations = conversations
        self._now = now

    async def Count(  # the contract's name
        self, request: pb.CountRequest, context: grpc.aio.ServicerContext
    ) -> pb.CountResponse:
        """See the contract."""
        outcomes = await answer_batch(
            request.items, span_name="tokenizer.count", errors=ERRORS, handle=self._count_all
        )
        return pb.CountResponse(results=[count_result(outcome) for outcome in outcomes])

    async def Prepare(  # the contract's name
        self, request: pb.PrepareRequest, context: grpc.aio.ServicerContext
    ) -> pb.PrepareResponse:
        """See the contract."""
        outcomes = await answer_batch(
            request.items, span_name="tokenizer.prepare", errors=ERRORS, handle=self._prepare_all
        )
        return pb.PrepareResponse(results=[prepare_result(outcome) for outcome in outcomes])

    async def Truncate(  # the contract's name
        self, request: pb.TruncateRequest, context: grpc.aio.ServicerContext
    ) -> pb.TruncateResponse:
        """See the contract."""
        outcomes = await answer_batch(
            request.items,
            span_name="tokenizer.truncate",
            errors=ERRORS,
            handle=self._each_by(_TRUNCATE_COUNTS, self._truncate),
        )
        return pb.TruncateResponse(results=[truncate_result(outcome) for outcome in outcomes])

    def _truncate(self, item: pb.TruncateItem, checkpoint: Checkpoint) -> pb.Truncated:
        meter = self._meter(item.model, checkpoint)
        return truncated_of(meter.model, truncate(item.text, truncation_of(item), meter))

    async def Compress(  # the contract's name
        self, request: pb.CompressRequest, context: grpc.aio.ServicerContext
    ) -> pb.CompressResponse:
        """See the contract."""
        outcomes = await answer_batch(
            request.items,
            span_name="tokenizer.compress",
            errors=ERRORS,
            handle=self._each_by(_COMPRESS_COUNTS, self._compress),
        )
        return pb.CompressResponse(results=[compress_result(outcome) for outcome in outcomes])

    def _compress(self, item: pb.CompressItem, checkpoint: Checkpoint) -> pb.Compressed:
        meter = self._meter(item.model, checkpoint)
        done = compress(item.messages, options_of(item), meter)
        return compressed_of(meter.model, done, item.price)

    async def FitContext(  # the contract's name
        self, request: pb.FitContextRequest, context: grpc.aio.ServicerContext
    ) -> pb.FitContextResponse:
        """See the contract."""
        outcomes = await answer_batch(
            request.items,
            span_name="tokenizer.fit_context",
            errors=ERRORS,
            handle=self._each_by(_FIT_COUNTS, self._fit),
        )
        return pb.FitContextResponse(results=[fit_result(outcome) for outcome in outcomes])

    def _fit(self, item: pb.FitContextItem, checkpoint: Checkpoint) -> pb.FittedContext:
        meter = self._meter(item.model, checkpoint)
        wish, shape = wish_of(item)
        return fitted_of(meter.model, fit(item.messages, wish, shape, meter))

    def _each_by(
        self, counts: int, work: Callable[[ItemT, Checkpoint], OutcomeT]
    ) -> Callable[[list[Live[ItemT]]], Awaitable[Sequence[OutcomeT | Exception]]]:
        """Does `work`, which counts an item so many times over, for each item by itself."""

        async def handle(live: list[Live[ItemT]]) -> Sequence[OutcomeT | Exception]:
            return await self._workers.run(
                [
                    Job(each.item.ByteSize() * counts, each.deadline, partial(work, each.item))
                    for each in live
                ]
            )

        return handle

    async def _count_all(
        self, live: list[Live[pb.CountItem]]
    ) -> Sequence[pb.TokenCount | Exception]:
        outcomes = await self._workers.run(
            [
                Job(each.item.ByteSize(), each.deadline, partial(self._count, each.item))
                for each in live
            ]
        )
        for each, outcome in zip(live, outcomes, strict=True):
            if isinstance(outcome, pb.TokenCount):
                _tell_count(each.span, each.item.model, outcome)
        return outcomes

    async def _prepare_all(
        self, live: list[Live[pb.PrepareItem]]
    ) -> Sequence[pb.Prepared | Exception]:
        outcomes = await self._workers.run(
            [
                Job(_work_bytes(each.item), each.deadline, partial(self._prepare, each.item))
                for each in live
            ]
        )
        for each, outcome in zip(live, outcomes, strict=True):
            if isinstance(outcome, pb.Prepared):
                _tell_count(each.span, each.item.model, outcome.input)
                _tell_segments(each.span, outcome)
        return outcomes

    def _count(self, item: pb.CountItem, checkpoint: Checkpoint) -> pb.TokenCount:
        meter = self._meter(item.model, checkpoint)
        return count_of(meter.model, count(item.text, meter))

    def _prepare(self, item: pb.PrepareItem, checkpoint: Checkpoint) -> pb.Prepared:
        meter = self._meter(item.model, checkpoint)
        limits.check_scope(item.scope)
        ask = Ask(
            prompt_options_of(item.compress) if item.HasField("compress") else None,
            fit_of(item.fit) if item.HasField("fit") else None,
            item.scope.encode(),
        )
        done = prepare(item.prompt, meter, ask, self._conversations, self._now)
        return prepared_of(meter.model, done)

    def _meter(self, name: str, checkpoint: Checkpoint) -> Meter:
        limits.check_model(name)
        model = model_of(name)
        return Meter(
            model, self._vocabularies[model.encoding], self._ratios, checkpoint, self._memo
        )


def _work_bytes(item: pb.PrepareItem) -> int:
    """How much work the item is, in bytes of plain text."""
    size = item.ByteSize()
    if size > SLICE_BYTES_MAX:  # off to a thread, however many steps it has
        return size
    steps = sum(
        1 + len(message.parts) + len(message.tool_calls) for message in item.prompt.messages
    )
    return size + steps * _STEP_BYTES


def _tell_count(span: Span, model: str, count: pb.TokenCount) -> None:
    if span.is_recording():
        span.set_attribute(names.GEN_AI_REQUEST_MODEL, model)
        span.set_attribute(names.GEN_AI_INPUT_TOKENS, count.tokens)
        span.set_attribute(names.COUNT_METHOD, method_name(count.method))


def _tell_segments(span: Span, prepared: pb.Prepared) -> None:
    segments = prepared.segments
    if span.is_recording():
        span.set_attribute(names.TOKENS_SYSTEM, segments.system_tokens)
        span.set_attribute(names.TOKENS_TOOLS, segments.tools_tokens)
        span.set_attribute(names.TOKENS_HISTORY, segments.history_tokens)
        span.set_attribute(names.TOKENS_NEW, segments.new_tokens)
        if prepared.decision:
            decision = pb.ContextDecision.Name(prepared.decision)
            span.set_attribute(names.CONTEXT_DECISION, decision.removeprefix("CONTEXT_DECISION_"))
        if prepared.HasField("edits"):
            given = prepared.original_segments
            before = sum(getattr(given, field.name) for field in given.DESCRIPTOR.fields)
            span.set_attribute(names.TOKENS_REMOVED, before - prepared.input.tokens)
