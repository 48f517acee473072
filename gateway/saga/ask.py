"""One request on its way through the house, as the door took it in."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from opentelemetry.trace import Span, SpanKind
from spendgate.cache.v1 import cache_service_pb2 as cache_pb
from spendgate.chat.v1 import chat_pb2
from spendgate.gateway.v1 import gateway_service_pb2 as pb
from spendgate.ledger.v1 import entry_pb2
from spendgate.router.v1 import router_service_pb2 as router_pb
from spendgate.tokenizer.v1 import tokenizer_service_pb2 as tokenizer_pb

from catalog.caching import CachingMode, CachingPolicy, TtlClassName
from catalog.prompts import PromptsConfig
from catalog.schema import CacheConfig, CacheScope, is_automatic, policy_word
from chassis import names
from chassis.calls import no_longer_traced
from chassis.deadline import Deadline
from chassis.telemetry import Telemetry, parse_traceparent, trace_id_of, traceparent_of
from gateway.door import Identity
from gateway.limits.rules import NO_RATES, Rates
from gateway.overload.admission import NO_PLACE, Place
from gateway.saga.counted import CountedAs
from gateway.saga.wishes import Wishes, wishes_of

# How a marker of Anthropic's asks for the longer lifetime.
HOUR = '"1h"'
TRACE_ID_LOW_BITS = 1 << 64
_MODES = {
    CachingMode.OFF: pb.CACHE_MODE_OFF,
    CachingMode.EXACT: pb.CACHE_MODE_EXACT,
    CachingMode.SEMANTIC: pb.CACHE_MODE_SEMANTIC,
}


@dataclass(slots=True)
class Ask:
    """What was asked, by whom, until when; and what the steps so far have found out."""

    request_id: str
    model: str
    prompt: chat_pb2.Prompt
    attribution: entry_pb2.Attribution
    scope: cache_pb.Scope
    cache_mode: int
    cache_explain: bool
    caching: CachingPolicy
    cost_max_nanos: int | None
    deadline: Deadline
    span: Span
    streams: bool
    allowed_models: tuple[str, ...] = ()
    # The key's own limits.
    key_rates: Rates = NO_RATES
    started: float = field(default_factory=time.perf_counter)
    prepared: tokenizer_pb.Prepared = field(default_factory=tokenizer_pb.Prepared)
    finding: cache_pb.Finding = field(default_factory=cache_pb.Finding)
    decision: router_pb.Decision = field(default_factory=router_pb.Decision)
    # The lease this request leads under, until it is handed over with the answer.
    lease: str = ""
    # What the books are told of the prompt (facts.py).
    facts: entry_pb2.PromptFacts = field(default_factory=entry_pb2.PromptFacts)
    first_token_ms: int = 0
    # A budget asked for the cheapest model, and it was chosen.
    downgraded: bool = False
    wishes: Wishes = field(default_factory=Wishes)
    # The name and the encoding that the prompt is counted by.
    counted_as: CountedAs = field(default_factory=lambda: CountedAs(""))
    # The prompt as it is sent, where that is not as it came.
    shaped: chat_pb2.Prompt | None = None
    summary_cost_nanos: int = 0
    # Whether the caller wants a second call beside a slow one; None: as the fleet file says.
    hedge: bool | None = None
    # Whether the money that is held covers one.
    hedged: bool = False
    # The provider would not take the prompt whole, and got it shorter than was asked for.
    refitted: bool = False
    # What is asked for, in OpenTelemetry's words: "chat" or "embeddings".
    operation: str = "chat"
    # Its place among what the fleet works on.
    place: Place = NO_PLACE
    # What is still being booked for this request when it ends.
    booking: "asyncio.Future[Any] | None" = None

    @property
    def sent(self) -> chat_pb2.Prompt:
        """The prompt as a provider gets it."""
        return self.prompt if self.shaped is None else self.shaped

    @property
    def traceparent(self) -> str:
        """Makes the request's root span the parent."""
        return traceparent_of(self.span)

    @property
    def trace_id(self) -> str:
        """32 hex digits, "" when no traces are made."""
        return trace_id_of(self.span)

    @property
    def automatic(self) -> bool:
        """True when the router, not the caller, chooses the model."""
        return is_automatic(self.model)

    @property
    def policy_word(self) -> str:
        """The routing policy that the caller names, "" when none."""
        return policy_word(self.model)

    def end(self) -> None:
        """Ends the root span as of now; while a booking is under way, once its cost is on it."""
        no_longer_traced()
        if self.booking is None or self.booking.done():
            self.span.end()
            return
        ended_ns = time.time_ns()
        self.booking.add_done_callback(lambda _: self.span.end(end_time=ended_ns))

    def latency_ms(self) -> int:
        """Milliseconds since the request came in."""
        return round((time.perf_counter() - self.started) * 1000)


def open_ask(
    request: pb.CompleteRequest | pb.StreamCompleteRequest,
    identity: Identity,
    *,
    traceparent: str,
    deadline: Deadline,
    telemetry: Telemetry,
    cache: CacheConfig,
    prompts: PromptsConfig,
    new_id: Callable[[], str],
    operation: str = "chat",
    place: Place = NO_PLACE,
) -> Ask:
    """Takes a checked request in and opens its root span; the caller ends it.

    What the key pins wins over what the caller says.
    """
    options = request.options
    attribution = entry_pb2.Attribution(
        tenant=identity.tenant,
        key_id=identity.key_id,
        project=identity.project or options.project,
        user=identity.user or options.user,
        feature=identity.feature or options.feature,
        session=options.session,
        tags={**options.tags, **dict(identity.tags)},
    )
    caching = cache.policy_for(attribution.feature)
    if options.cache_ttl_class:
        # A class that is asked for lives as long as classes do, not as the feature's own time says.
        wanted = {"ttl_class": TtlClassName(options.cache_ttl_class), "ttl_seconds": None}
        caching = caching.model_copy(update=wanted)
    request_id = new_id()
    streams = isinstance(request, pb.StreamCompleteRequest)
    span = telemetry.start(
        f"{operation} {request.model}",
        traceparent,
        SpanKind.SERVER,
        {
            names.GEN_AI_OPERATION: operation,
            names.GEN_AI_REQUEST_MODEL: request.model,
            names.GEN_AI_REQUEST_STREAM: streams,
            names.REQUEST_ID: request_id,
            names.TENANT: attribution.tenant,
            names.PROJECT: attribution.project,
            names.FEATURE: attribution.feature,
        },
    )
    return Ask(
        request_id=request_id,
        model=request.model,
        prompt=request.prompt,
        attribution=attribution,
        scope=_scope_of(attribution, cache.scope),
        cache_mode=_cache_mode(options.cache_mode, cache, caching),
        cache_explain=options.cache_explain,
        caching=caching,
        cost_max_nanos=options.cost_max_nanos if options.HasField("cost_max_nanos") else None,
        deadline=deadline,
        span=span,
        streams=streams,
        allowed_models=identity.allowed_models,
        key_rates=identity.limits,
        hedge=options.hedge if options.HasField("hedge") else None,
        place=place,
        wishes=wishes_of(options, prompts.policy_for(attribution.feature)),
        operation=operation,
    )


def edge_traceparent(traceparent: str, trace_ratio: float, trusted: bool) -> str:
    """The caller's trace, gone on with. Unless it is trusted, its sampled flag is not the
    caller's to set: it costs money and shows data; the trace id decides by our own ratio."""
    context = parse_traceparent(traceparent)
    if context is None:
        return ""
    if trusted:
        return traceparent
    sampled = context.trace_id % TRACE_ID_LOW_BITS < trace_ratio * TRACE_ID_LOW_BITS
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{int(sampled):02x}"


def needs_of(prompt: chat_pb2.Prompt) -> list[router_pb.Capability]:
    """What a model must be able to do to take this prompt."""
    needs = set()
    if prompt.tools:
        needs.add(router_pb.CAPABILITY_TOOLS)
    if '"json_schema"' in prompt.response_format_json:
        needs.add(router_pb.CAPABILITY_JSON_SCHEMA)
    for message in prompt.messages:
        for part in message.parts:
            kind = part.WhichOneof("part")
            if kind == "image":
                needs.add(router_pb.CAPABILITY_VISION)
            elif kind == "audio":
                needs.add(router_pb.CAPABILITY_AUDIO)
    return sorted(needs)


def wants_hour_cache(prompt: chat_pb2.Prompt) -> bool:
    """Whether the provider may be asked to keep some of it for an hour, which is dearer. Markers
    stand in further fields; a text there that only looks like one costs a larger hold, no money."""
    texts = [prompt.extra_json, *(tool.extra_json for tool in prompt.tools)]
    for message in prompt.messages:
        texts.append(message.extra_json)
        texts += [part.extra_json for part in message.parts]
    return any(HOUR in text for text in texts)


def _scope_of(attribution: entry_pb2.Attribution, scope: CacheScope) -> cache_pb.Scope:
    return cache_pb.Scope(
        tenant=attribution.tenant,
        project=attribution.project if scope == CacheScope.PROJECT else "",
        user=attribution.user if scope == CacheScope.USER else "",
    )


def _cache_mode(asked: int, cache: CacheConfig, caching: CachingPolicy) -> int:
    if not cache.enabled:
        return pb.CACHE_MODE_OFF
    return asked or _MODES[caching.mode]
