"""Answers on their way out: from the cache, from another request, from a provider; booked."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from spendgate.cache.v1 import cache_service_pb2 as cache_pb
from spendgate.chat.v1 import chat_pb2
from spendgate.gateway.v1 import gateway_service_pb2 as pb
from spendgate.ledger.v1 import entry_pb2
from spendgate.ledger.v1 import ledger_service_pb2 as ledger_pb

from catalog.fleet import Fleet
from catalog.prices import UnknownModel, Unpriced
from gateway.ports import Services
from gateway.privacy.capture import Capture
from gateway.providers.join import AnswerJoiner, pieces_of
from gateway.providers.port import ProviderAnswer
from gateway.saga import anatomy, attempts
from gateway.saga.ask import Ask
from gateway.saga.books import Books
from gateway.saga.cached import Cached
from gateway.saga.counted import counted_as
from gateway.saga.feedback import HITS
from gateway.saga.hold import OwnedHold, Unfinished
from gateway.saga.line import Try
from gateway.saga.meter import Meter, allowed_tokens
from gateway.saga.summary import Cost, Outcome, calculated, recorded, settled
from gateway.saga.usage import text_of, usage_of

VERY_SAME = "the very same prompt was answered before"
SAID_OTHERWISE = "a prompt that asks for the same in other words was answered before"
_SOURCES = {
    cache_pb.OUTCOME_EXACT: pb.ANSWER_SOURCE_CACHE_EXACT,
    cache_pb.OUTCOME_SEMANTIC: pb.ANSWER_SOURCE_CACHE_SEMANTIC,
}


@dataclass(frozen=True, slots=True)
class Answer:
    """What the caller gets."""

    choices: list[chat_pb2.Choice]
    outcome: Outcome

    def deltas(self) -> Iterator[pb.Delta]:
        """The answer as a stream brings it."""
        for choice in self.choices:
            yield from pieces_of(choice)


@dataclass(frozen=True, slots=True)
class Booked:
    """A provider's answer and what is owed for it."""

    attempt: Try
    given: ProviderAnswer
    entry: entry_pb2.Attempt


class Answers:
    """Makes answers and books them."""

    def __init__(
        self,
        services: Services,
        books: Books,
        fleet: Fleet,
        cached: Cached,
        *,
        new_id: Callable[[], str],
        now: Callable[[], datetime],
    ) -> None:
        """`now` gives the time in UTC, for prices while the ledger is away."""
        self._services = services
        self._books = books
        self._fleet = fleet
        self._cached = cached
        self._new_id = new_id
        self._now = now
        self._capture = Capture(fleet.config.privacy)

    async def from_cache(self, ask: Ask) -> Answer | None:
        """What the look-up found, booked. None: it found nothing."""
        if ask.finding.outcome not in HITS:
            return None
        semantic = ask.finding.outcome == cache_pb.OUTCOME_SEMANTIC
        found = ask.finding.answer
        attempt = attempts.served(
            ask,
            entry_pb2.ENTRY_KIND_CACHE_HIT,
            found.model,
            found.usage,
            baseline_model=self._fleet.baseline_model(self._now()) or "",
            entry_id=self._new_id(),
        )
        cost = await self._record(ask, attempt)
        outcome = Outcome(
            source=_SOURCES[ask.finding.outcome],
            model=found.model,
            provider="",
            usage=found.usage,
            usage_source=entry_pb2.USAGE_SOURCE_NONE,
            cost=cost,
            explanation=SAID_OTHERWISE if semantic else VERY_SAME,
            finish_reasons=_finish_reasons(found.choices),
        )
        return await self._given(ask, list(found.choices), outcome)

    async def from_cache_alone(self, ask: Ask, model: str, usage: chat_pb2.TokenUsage) -> Cost:
        """Books that the cache had all that was asked for; `usage` is what that once took."""
        attempt = attempts.served(
            ask,
            entry_pb2.ENTRY_KIND_CACHE_HIT,
            model,
            usage,
            baseline_model="",
            entry_id=self._new_id(),
        )
        return await self._record(ask, attempt)

    async def shared(self, ask: Ask, answer: Answer) -> Answer:
        """What another request under way brought, booked for this one."""
        theirs = answer.outcome
        attempt = attempts.served(
            ask,
            entry_pb2.ENTRY_KIND_SHARED_CALL,
            theirs.model,
            theirs.usage,
            baseline_model=self._fleet.baseline_model(self._now()) or "",
            entry_id=self._new_id(),
        )
        cost = await self._record(ask, attempt)
        outcome = Outcome(
            source=pb.ANSWER_SOURCE_SHARED,
            model=theirs.model,
            provider=theirs.provider,
            usage=theirs.usage,
            usage_source=entry_pb2.USAGE_SOURCE_NONE,
            cost=cost,
            explanation="another request under way asked for the very same answer",
            finish_reasons=theirs.finish_reasons,
            warnings=theirs.warnings,
        )
        return await self._given(ask, answer.choices, outcome)

    async def book(
        self, ask: Ask, hold: OwnedHold, attempt: Try, given: ProviderAnswer, *, extra: bool = False
    ) -> Booked:
        """What a provider answered, counted and owed for. `extra`: it may not be the one taken."""

        async def counted() -> entry_pb2.Attempt:
            usage, source = await self._usage(ask, attempt, given.usage, text_of(given.choices))
            made = self._answered(ask, attempt, usage, source, extra=extra)
            if given.told is not None and source == entry_pb2.USAGE_SOURCE_REPORTED:
                made.told_input_tokens, made.told_output_tokens = given.told
            return made

        # From here on money is owed: whoever cancels us, the hold's way out books it.
        hold.under_way[attempt.number] = counted
        entry = await counted()
        del hold.under_way[attempt.number]
        hold.attempts.append(entry)
        return Booked(attempt, given, entry)

    async def conclude(self, ask: Ask, hold: OwnedHold, taken: Booked) -> Answer:
        """The answer that is taken: kept if it may be, charged with all that was tried."""
        choices, entry, candidate = list(taken.given.choices), taken.entry, taken.attempt.candidate
        del entry.counterfactuals[:]
        entry.counterfactuals.extend(attempts.chain(ask, candidate.model, entry.usage))
        self._cached.keep(ask, choices, candidate.model, entry.usage)
        cost = await self.charge(hold)
        outcome = Outcome(
            source=pb.ANSWER_SOURCE_PROVIDER,
            model=candidate.model,
            provider=candidate.provider,
            usage=entry.usage,
            usage_source=entry.usage_source,
            cost=cost,
            explanation=ask.decision.explanation,
            finish_reasons=_finish_reasons(choices),
            warnings=taken.given.warnings,
            parts=self.parts_of(ask, entry, cost),
        )
        return await self._given(ask, choices, outcome)

    async def charge(self, hold: OwnedHold) -> Cost:
        """Charges what was done under a hold, which ends the attempts' spans."""
        settlement = await hold.confirm()
        if settlement is None:
            cost = calculated(self._fleet.book, hold.attempts, self._now())
            hold.estimated(cost)
        else:
            cost = settled(settlement)
        cost.notices = hold.hold.notices
        if cost.tightest is None and hold.hold.HasField("tightest"):
            cost.tightest = hold.hold.tightest
        return cost

    def meter(self, ask: Ask, hold: OwnedHold, attempt: Try) -> Meter:
        """What watches that a stream stays within its hold."""
        allowed = allowed_tokens(self._fleet, ask, attempt, hold.hold.held_nanos, self._now())
        return Meter(self._services, ask, self._fleet, attempt, allowed)

    def parts_of(self, ask: Ask, entry: entry_pb2.Attempt, cost: Cost) -> dict[str, int]:
        """What the cost is made of; nothing where the price is not known here."""
        try:
            price = self._fleet.book.price(entry.model_used, self._now())
        except (UnknownModel, Unpriced):
            return {}
        taken_nanos = cost.by_entry.get(entry.entry_id, 0)
        segments = ask.prepared.segments
        return anatomy.parts_of(cost.cost_nanos, taken_nanos, entry.usage, segments, price)

    async def _given(self, ask: Ask, choices: list[chat_pb2.Choice], outcome: Outcome) -> Answer:
        await self._capture.note(ask.span, ask.attribution.tenant, ask.prompt, choices)
        return Answer(choices, outcome)

    def unfinished(self, ask: Ask, attempt: Try, so_far: AnswerJoiner) -> Unfinished:
        """Books a stream that breaks off: its prompt and what was written until then."""

        async def book() -> entry_pb2.Attempt:
            usage, source = await self._usage(ask, attempt, None, text_of(so_far.choices()))
            outcome = (
                entry_pb2.ATTEMPT_OUTCOME_CANCELLED
                if attempt.error is None
                else entry_pb2.ATTEMPT_OUTCOME_FAILED
            )
            return self._answered(ask, attempt, usage, source, outcome)

        return book

    async def _usage(
        self, ask: Ask, attempt: Try, reported: chat_pb2.TokenUsage | None, written: str
    ) -> tuple[chat_pb2.TokenUsage, entry_pb2.UsageSource]:
        candidate = attempt.candidate
        counted = counted_as(self._fleet, candidate.model)
        return await usage_of(
            self._services, ask, candidate, counted, reported=reported, written=written
        )

    def _answered(
        self,
        ask: Ask,
        attempt: Try,
        usage: chat_pb2.TokenUsage,
        source: entry_pb2.UsageSource,
        outcome: entry_pb2.AttemptOutcome = entry_pb2.ATTEMPT_OUTCOME_OK,
        *,
        extra: bool = False,
    ) -> entry_pb2.Attempt:
        return attempts.answered(
            ask,
            attempt.candidate,
            usage,
            source,
            number=attempt.number,
            entry_id=self._new_id(),
            kind=attempt.kind,
            outcome=outcome,
            extra=extra,
        )

    async def _record(self, ask: Ask, attempt: entry_pb2.Attempt) -> Cost:
        entry = await self._books.record(
            ledger_pb.RecordItem(
                traceparent=ask.traceparent,
                request_id=ask.request_id,
                attribution=ask.attribution,
                attempt=attempt,
            )
        )
        if entry is None:
            return calculated(self._fleet.book, [attempt], self._now())
        return recorded(entry)


def _finish_reasons(choices: Iterable[chat_pb2.Choice]) -> list[str]:
    return [
        chat_pb2.FinishReason.Name(choice.finish_reason).removeprefix("FINISH_REASON_").lower()
        for choice in choices
    ]
