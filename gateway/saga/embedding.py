"""The saga of embeddings: each text looked up by itself, what is new asked for once and booked.

Texts stand as messages of a prompt and vectors as its answers (providers/as_answers.py), so the
steps are those of any request; what differs is here. Vectors of two models do not compare: the
model that was named is called or none.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from spendgate.cache.v1 import cache_service_pb2 as cache_pb
from spendgate.chat.v1 import chat_pb2
from spendgate.gateway.v1 import embed_pb2
from spendgate.gateway.v1 import gateway_service_pb2 as pb
from spendgate.ledger.v1 import entry_pb2
from spendgate.tokenizer.v1 import tokenizer_service_pb2 as tokenizer_pb

from chassis.errors import FieldViolation, InvalidFields
from gateway.errors import from_service
from gateway.limits.limits import Limits
from gateway.ports import Services
from gateway.providers.as_answers import as_choice, as_prompt, vector_of
from gateway.providers.embeddings import numbers
from gateway.providers.port import Provider, ProviderAnswer
from gateway.saga import attempts
from gateway.saga.answers import Answers, Booked
from gateway.saga.ask import Ask
from gateway.saga.cached import Cached
from gateway.saga.calling import Caller
from gateway.saga.hold import OwnedHold
from gateway.saga.line import Try
from gateway.saga.shares import shares
from gateway.saga.steps import Steps
from gateway.saga.summary import Outcome, summary_of

COUNT_SECONDS_MAX = 5.0
# As many as one call of the cache takes along (chassis.hop).
TEXTS_A_BATCH = 128


@dataclass(slots=True)
class Text:
    """One of the distinct texts of a request."""

    given: embed_pb2.EmbedInput
    # What stands for it in the cache.
    prompt: chat_pb2.Prompt
    # How often it was sent.
    times: int = 1
    # The cache's name for it, "" where nothing may be kept.
    key: str = ""
    vector: bytes = b""
    tokens: int = 0
    hit: bool = False
    # Of a hit: the model that made the vector, by its configured name.
    model: str = ""


class Embedder:
    """Makes vectors and books them."""

    def __init__(
        self,
        services: Services,
        *,
        steps: Steps,
        caller: Caller,
        providers: Mapping[str, Provider],
        answers: Answers,
        cached: Cached,
        limits: Limits,
        new_id: Callable[[], str],
    ) -> None:
        """`providers` are those that `caller` calls: adapters of embeddings, by name."""
        self._services = services
        self._steps = steps
        self._caller = caller
        self._providers = providers
        self._answers = answers
        self._cached = cached
        self._limits = limits
        self._new_id = new_id

    async def run(self, ask: Ask, request: pb.EmbedRequest) -> tuple[pb.EmbedResponse, Outcome]:
        """The vectors of a checked request, one an input."""
        texts, places = _distinct(request)
        await self._look_up(ask, texts)
        new = [text for text in texts if not text.hit]
        if new:
            outcome = await self._from_provider(ask, request, texts, new)
        else:
            usage = _usage_of(texts)
            cost = await self._answers.from_cache_alone(ask, texts[0].model, usage)
            ask.place.measured()
            outcome = Outcome(
                source=pb.ANSWER_SOURCE_CACHE_EXACT,
                model=texts[0].model,
                provider="",
                usage=usage,
                usage_source=entry_pb2.USAGE_SOURCE_NONE,
                cost=cost,
                explanation="the very same texts were embedded before",
            )
        return _response(ask, request, [texts[place] for place in places], outcome), outcome

    async def _look_up(self, ask: Ask, texts: Sequence[Text]) -> None:
        if ask.cache_mode == pb.CACHE_MODE_OFF:
            return
        batches = -(-len(texts) // TEXTS_A_BATCH)
        findings = await asyncio.gather(
            *(self._cached.look_up_text(ask, text.prompt, batches) for text in texts)
        )
        for text, finding in zip(texts, findings, strict=True):
            text.key = finding.key
            if finding.outcome == cache_pb.OUTCOME_EXACT:
                text.hit = True
                text.vector = vector_of(finding.answer.choices[0])
                text.tokens = finding.answer.usage.input_tokens
                text.model = finding.answer.model

    async def _from_provider(
        self, ask: Ask, request: pb.EmbedRequest, texts: Sequence[Text], new: Sequence[Text]
    ) -> Outcome:
        dimensions = request.dimensions if request.HasField("dimensions") else None
        ask.shaped = as_prompt([text.given for text in new], dimensions, request.extra_json)
        await self._count(ask, new)
        await self._steps.route(ask)
        candidate = ask.decision.chosen
        del ask.decision.fallbacks[:]
        if candidate.provider not in self._providers:
            raise InvalidFields(
                "REQUEST_INVALID",
                FieldViolation("model", "its provider makes no embeddings, as far as is known"),
            )
        # No cheaper model will do, so a budget that wants one has to take this one or refuse.
        ask.downgraded = True
        async with self._limits.at_model(ask), self._steps.hold(ask) as hold:
            ask.place.measured()
            with ask.place.lent():
                attempt, given = await self._caller.complete(ask, hold)
            booked = self._book(ask, hold, attempt, given, texts)
            for text, choice in zip(new, given.choices, strict=True):
                text.vector = vector_of(choice)
            self._keep(ask, candidate.model, new)
            cost = await self._answers.charge(hold)
        usage = booked.entry.usage
        self._steps.told_cost(ask, candidate.model, usage, cost)
        return Outcome(
            source=pb.ANSWER_SOURCE_PROVIDER,
            model=candidate.model,
            provider=candidate.provider,
            usage=usage,
            usage_source=booked.entry.usage_source,
            cost=cost,
            explanation=ask.decision.explanation,
            warnings=given.warnings,
            parts=self._answers.parts_of(ask, booked.entry, cost),
        )

    async def _count(self, ask: Ask, new: Sequence[Text]) -> None:
        """Counts each new text; their sum, with its error bound, goes into the ask.

        Raises: what the tokenizer refuses, under the gateway's domain.
        """
        worded = [text for text in new if text.given.WhichOneof("input") == "text"]
        prepared = tokenizer_pb.Prepared()
        for text in new:
            text.tokens = len(text.given.tokens.ids)
        given = sum(text.tokens for text in new)
        try:
            if worded:
                item = tokenizer_pb.PrepareItem(
                    traceparent=ask.traceparent,
                    model=ask.counted_as.model,
                    encoding=ask.counted_as.encoding,
                    prompt=chat_pb2.Prompt(messages=[t.prompt.messages[0] for t in worded]),
                )
                counting = [self._count_text(ask, text) for text in worded]
                prepared, _ = await asyncio.gather(
                    self._services.prepare(item, ask.deadline), asyncio.gather(*counting)
                )
        except Exception as error:
            raise from_service("tokenizer", error) from None
        ask.prepared.input.CopyFrom(prepared.input)
        ask.prepared.input.tokens += given

    async def _count_text(self, ask: Ask, text: Text) -> None:
        item = tokenizer_pb.CountItem(
            traceparent=ask.traceparent,
            model=ask.counted_as.model,
            encoding=ask.counted_as.encoding,
            text=text.given.text,
        )
        text.tokens = await self._services.count(item, ask.deadline.sooner(COUNT_SECONDS_MAX))

    def _book(
        self,
        ask: Ask,
        hold: OwnedHold,
        attempt: Try,
        given: ProviderAnswer,
        texts: Sequence[Text],
    ) -> Booked:
        """What is owed, and what it would have been for every text that was sent."""
        new = [text for text in texts if not text.hit]
        counted = [text.tokens for text in new]
        source = entry_pb2.USAGE_SOURCE_REPORTED
        usage = given.usage
        if usage is None or not usage.input_tokens:
            source = entry_pb2.USAGE_SOURCE_COUNTED
            usage = chat_pb2.TokenUsage(input_tokens=max(1, sum(counted)))
        for text, tokens in zip(new, shares(usage.input_tokens, counted), strict=True):
            text.tokens = tokens
        entry = attempts.answered(
            ask,
            attempt.candidate,
            usage,
            source,
            number=attempt.number,
            entry_id=self._new_id(),
            kind=attempt.kind,
        )
        del entry.counterfactuals[:]
        whole = _usage_of(texts)
        if whole.input_tokens > usage.input_tokens:
            entry.counterfactuals.add(
                cause=entry_pb2.SAVING_CAUSE_CACHE, model=attempt.candidate.model, usage=whole
            )
        if source == entry_pb2.USAGE_SOURCE_REPORTED:
            entry.told_input_tokens = usage.input_tokens
        hold.under_way.pop(attempt.number, None)
        hold.attempts.append(entry)
        return Booked(attempt, given, entry)

    def _keep(self, ask: Ask, model: str, new: Sequence[Text]) -> None:
        for text in new:
            if text.key:
                usage = chat_pb2.TokenUsage(input_tokens=text.tokens)
                self._cached.keep_text(ask, text.key, as_choice(0, text.vector), model, usage)


def stand_in(request: pb.EmbedRequest) -> pb.CompleteRequest:
    """The request by which an embedding is admitted: the same model, caller, options, size."""
    dimensions = request.dimensions if request.HasField("dimensions") else None
    prompt = as_prompt(request.inputs, dimensions, request.extra_json)
    # A vector is no text: what may be written costs nothing, and a limit must be at least 1.
    prompt.sampling.output_tokens_max = 1
    options = pb.RequestOptions()
    options.CopyFrom(request.options)
    if options.cache_mode == pb.CACHE_MODE_SEMANTIC:
        options.cache_mode = pb.CACHE_MODE_EXACT
    return pb.CompleteRequest(model=request.model, prompt=prompt, options=options)


def _distinct(request: pb.EmbedRequest) -> tuple[list[Text], list[int]]:
    """The distinct texts, and for each input the place of its text among them."""
    dimensions = request.dimensions if request.HasField("dimensions") else None
    found: dict[bytes, int] = {}
    texts: list[Text] = []
    places: list[int] = []
    for each in request.inputs:
        name = each.SerializeToString(deterministic=True)
        place = found.get(name)
        if place is None:
            place = found[name] = len(texts)
            texts.append(Text(each, as_prompt([each], dimensions, request.extra_json)))
        else:
            texts[place].times += 1
        places.append(place)
    return texts, places


def _usage_of(texts: Sequence[Text]) -> chat_pb2.TokenUsage:
    """The tokens of everything that was sent, repeats included."""
    return chat_pb2.TokenUsage(input_tokens=sum(text.tokens * text.times for text in texts))


def _response(
    ask: Ask, request: pb.EmbedRequest, texts: Sequence[Text], outcome: Outcome
) -> pb.EmbedResponse:
    as_bytes = request.encoding == embed_pb2.VECTOR_ENCODING_PACKED
    return pb.EmbedResponse(
        embeddings=[
            embed_pb2.Embedding(
                values=() if as_bytes else numbers(text.vector),
                packed=text.vector if as_bytes else b"",
                from_cache=text.hit,
            )
            for text in texts
        ],
        summary=summary_of(ask, outcome),
        cached_count=sum(text.hit for text in texts),
    )
