"""Shadow comparison: a semantic hit is now and then asked anew, and the cache hears how it was.

The caller has its answer already. The fresh call is booked like any other, on the same budgets,
under a request of its own.
"""

import dataclasses
import logging
from collections.abc import Awaitable, Callable, Iterable

from opentelemetry.trace import Span
from spendgate.cache.v1 import cache_service_pb2 as cache_pb
from spendgate.chat.v1 import chat_pb2
from spendgate.gateway.v1 import gateway_service_pb2 as pb

from catalog.agreement import agree, comparable
from chassis import names
from chassis.deadline import Deadline
from chassis.telemetry import Telemetry
from gateway.overload.admission import NO_PLACE
from gateway.ports import Services
from gateway.saga.answers import Answer
from gateway.saga.ask import Ask
from gateway.saga.books import Books

_log = logging.getLogger("gateway.saga.hit_shadow")

CALL_SECONDS_MAX = 120.0
REPORT_SECONDS_MAX = 5.0
# Comparisons under way at once: they must not grow beside the requests they follow.
UNDER_WAY_MAX = 4
PERCENT = 100
SHADOW_TAG = "spendgate-shadow"
TAGS_MAX = 16

# Whether two answers say the same; None where that cannot be told from their texts.
Compare = Callable[[str, str], bool | None]


class HitShadow:
    """Decides which hits are compared, and compares them."""

    def __init__(
        self,
        services: Services,
        books: Books,
        telemetry: Telemetry,
        *,
        draw: Callable[[], float],
        new_id: Callable[[], str],
        compare: Compare,
    ) -> None:
        """`draw` gives random numbers from 0 to 1."""
        self._services = services
        self._books = books
        self._telemetry = telemetry
        self._draw = draw
        self._new_id = new_id
        self._compare = compare
        self._under_way = 0

    def consider(self, ask: Ask, hit: Answer, fresh: Callable[[Ask], Awaitable[Answer]]) -> None:
        """Maybe asks `fresh` for the same, off the caller's path."""
        if ask.finding.outcome != cache_pb.OUTCOME_SEMANTIC:
            return
        percent = ask.caching.shadow_percent
        if self._under_way >= UNDER_WAY_MAX or self._draw() * PERCENT >= percent:
            return
        self._under_way += 1
        self._books.spawn(self._run(ask, text_of(hit.choices), fresh))

    async def _run(self, ask: Ask, served: str, fresh: Callable[[Ask], Awaitable[Answer]]) -> None:
        span = self._telemetry.start("shadow comparison", ask.traceparent)
        twin = self._twin(ask, span)
        try:
            answer = await fresh(twin)
            same = self._compare(served, text_of(answer.choices))
            if same is not None:
                span.set_attribute(names.CACHE_OUTCOME, "RIGHT" if same else "WRONG")
                await self._report(ask, right=same)
        except Exception as error:
            # Its budget, its provider: nothing that a caller has to hear of.
            _log.info("no comparison", extra={"error_type": type(error).__name__})
        finally:
            self._under_way -= 1
            twin.end()

    def _twin(self, ask: Ask, span: Span) -> Ask:
        """The same request once more, past the cache."""
        attribution = type(ask.attribution)()
        attribution.CopyFrom(ask.attribution)
        if len(attribution.tags) < TAGS_MAX:
            attribution.tags[SHADOW_TAG] = "1"
        return dataclasses.replace(
            ask,
            request_id=self._new_id(),
            attribution=attribution,
            cache_mode=pb.CACHE_MODE_OFF,
            deadline=Deadline.after(CALL_SECONDS_MAX),
            span=span,
            booking=None,
            streams=False,
            place=NO_PLACE,
            finding=cache_pb.Finding(outcome=cache_pb.OUTCOME_NOT_CACHEABLE),
            lease="",
        )

    async def _report(self, ask: Ask, *, right: bool) -> None:
        report = cache_pb.ReportWrongHitRequest(
            scope=ask.scope,
            entry_key=ask.finding.entry_key,
            key=ask.finding.key,
            feature=ask.attribution.feature,
            verdict=cache_pb.HIT_VERDICT_RIGHT if right else cache_pb.HIT_VERDICT_WRONG,
            judge=cache_pb.HIT_JUDGE_SHADOW,
        )
        await self._services.report_wrong_hit(report, Deadline.after(REPORT_SECONDS_MAX))


def text_of(choices: Iterable[chat_pb2.Choice]) -> str:
    """The text of the first choice."""
    for choice in choices:
        return choice.message.content
    return ""


def say_the_same(one: str, other: str) -> bool | None:
    """Whether two answers agree in what can be compared of them: JSON, a final number or choice, a
    short text. Of longer prose it cannot be told: other words are no disproof."""
    if one.strip() == other.strip() != "":
        return True
    return agree(one, other) if comparable(one) and comparable(other) else None
