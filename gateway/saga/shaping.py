"""A prompt as it is sent: shorter and fitted as wished, and what it would have cost otherwise."""

from collections.abc import Callable
from datetime import datetime
from typing import Final

from spendgate.chat.v1 import chat_pb2
from spendgate.gateway.v1 import gateway_service_pb2 as pb
from spendgate.ledger.v1 import entry_pb2
from spendgate.tokenizer.v1 import tokenizer_service_pb2 as tokenizer_pb

from catalog.fleet import Fleet
from catalog.prices import UnknownModel, Unpriced
from catalog.prompt_cache import prompt_cache_of
from chassis import names
from gateway.saga.ask import Ask

_INSTRUCTIONS: Final = frozenset({chat_pb2.ROLE_SYSTEM, chat_pb2.ROLE_DEVELOPER})
_WARM_CUTS: Final = frozenset(
    {
        tokenizer_pb.CONTEXT_DECISION_CUT_BREAK_EVEN,
        tokenizer_pb.CONTEXT_DECISION_CUT_CLIFF,
        tokenizer_pb.CONTEXT_DECISION_CUT_WINDOW,
        tokenizer_pb.CONTEXT_DECISION_CUT_BUDGET,
    }
)


class Shaping:
    """Turns wishes into what the tokenizer is asked, at today's prices."""

    def __init__(self, fleet: Fleet, now: Callable[[], datetime]) -> None:
        """`now` gives the time in UTC, for prices."""
        self._fleet = fleet
        self._now = now

    def add_to(self, item: tokenizer_pb.PrepareItem, ask: Ask, model: str) -> None:
        """What `ask` wishes for, for a prompt that goes to the configured model `model`."""
        compress, fit = ask.wishes.compress_options(), ask.wishes.fit_options()
        if compress is not None:
            item.compress.CopyFrom(compress)
        if fit is None:
            return
        self._add_shape(fit, ask, model)
        item.fit.CopyFrom(fit)
        item.scope = f"{ask.attribution.tenant}\n{ask.attribution.session}"

    def _add_shape(self, fit: tokenizer_pb.FitOptions, ask: Ask, model: str) -> None:
        """Prices and limits, as far as they are known: what is not known saves nothing."""
        try:
            price = self._fleet.book.price(model, self._now())
            card = self._fleet.models.card(model)
        except (UnknownModel, Unpriced):
            return
        rates = price.rates
        fit.price.input_picos = rates.input_picos
        fit.price.cached_input_picos = rates.cached_input_picos
        fit.price.cache_write_picos = rates.cache_write_picos
        if price.tiers:
            fit.cliff_input_tokens_over = price.tiers[0].input_tokens_over
        if card.context_window_tokens is not None:
            written = ask.prompt.sampling.output_tokens_max or card.output_tokens_default
            fit.window_tokens = max(1, card.context_window_tokens - written)
        if rates.cached_input_picos < rates.input_picos:
            cache = prompt_cache_of(card.upstream_model)
            fit.cacheable_prefix_tokens_min = cache.prefix_tokens_min
            fit.cache_lifetime_seconds = cache.lifetime_seconds


def sent_prompt(prompt: chat_pb2.Prompt, edits: tokenizer_pb.Edits) -> chat_pb2.Prompt:
    """The prompt with the tokenizer's edits; the given one is left as it is."""
    sent = chat_pb2.Prompt()
    sent.CopyFrom(prompt)
    for edit in edits.contents:
        sent.messages[edit.message].content = edit.content
    cut = edits.cut_from_message
    if not cut:
        return sent
    front = [message for message in sent.messages[:cut] if message.role in _INSTRUCTIONS]
    if edits.memory:
        front.append(chat_pb2.Message(role=chat_pb2.ROLE_SYSTEM, content=edits.memory))
    kept = [*front, *sent.messages[cut:]]
    del sent.messages[:]
    sent.messages.extend(kept)
    return sent


def unshaped_usage(
    prepared: tokenizer_pb.Prepared, usage: chat_pb2.TokenUsage
) -> chat_pb2.TokenUsage | None:
    """What the same call would have used with the prompt as it came. None: the same.

    What was removed from the newest part would have been read for the first time; from what was
    sent before, as that was read now: from the provider's cache when that had it. In a call that
    cuts a conversation, the cache would have had all that came before.
    """
    read = (
        usage.input_tokens
        + usage.cached_input_tokens
        + usage.cache_write_tokens
        + usage.cache_write_1h_tokens
    )
    counted = prepared.input.tokens
    if not prepared.HasField("edits") or not counted or not read:
        return None
    given, sent = prepared.original_segments, prepared.segments
    new = (given.new_tokens - sent.new_tokens) * read // counted
    before = _before(given) * read // counted
    old = before - _before(sent) * read // counted
    whole = chat_pb2.TokenUsage()
    whole.CopyFrom(usage)
    fresh = "cache_write_tokens" if usage.cache_write_tokens else "input_tokens"
    setattr(whole, fresh, max(0, getattr(whole, fresh) + new))
    if prepared.decision in _WARM_CUTS and _cut_of(prepared):
        # All that came before was in the cache until this call; what is new was not.
        whole.input_tokens = whole.cache_write_tokens = whole.cache_write_1h_tokens = 0
        whole.cached_input_tokens = before
        setattr(whole, fresh, max(0, read + old + new - before))
        return whole
    bucket = "cached_input_tokens" if usage.cached_input_tokens else fresh
    setattr(whole, bucket, max(0, getattr(whole, bucket) + old))
    return whole


def _before(segments: tokenizer_pb.Segments) -> int:
    """Tokens of what an earlier call had sent."""
    return segments.system_tokens + segments.tools_tokens + segments.history_tokens


def _cut_of(prepared: tokenizer_pb.Prepared) -> int:
    return prepared.edits.cut_from_message


def compression_step(
    ask: Ask, model: str, usage: chat_pb2.TokenUsage
) -> entry_pb2.Counterfactual | None:
    """One step back from a shaped prompt; None when it was sent as it came."""
    whole = unshaped_usage(ask.prepared, usage)
    if whole is None:
        return None
    return entry_pb2.Counterfactual(
        cause=entry_pb2.SAVING_CAUSE_COMPRESSION, model=model, usage=whole
    )


def told(ask: Ask) -> pb.Shaping | None:
    """What the caller is told of it."""
    prepared = ask.prepared
    if not prepared.HasField("edits") and not prepared.arithmetic:
        return None
    shaping = pb.Shaping(
        original_tokens=original_tokens(prepared),
        sent_tokens=prepared.input.tokens,
        messages_cut=_messages_cut(ask),
        decision=prepared.arithmetic,
        summary_cost_nanos=ask.summary_cost_nanos,
    )
    for removal in prepared.removals:
        rule = tokenizer_pb.CompressRule.Name(removal.rule).removeprefix("COMPRESS_RULE_").lower()
        shaping.removed_tokens[rule] += removal.tokens
    return shaping


def original_tokens(prepared: tokenizer_pb.Prepared) -> int:
    """Input tokens of the prompt as it came."""
    if not prepared.HasField("edits"):
        return prepared.input.tokens
    given = prepared.original_segments
    return _before(given) + given.new_tokens + given.overhead_tokens


def note_shaping(ask: Ask) -> None:
    """Tells the root span, in numbers."""
    prepared = ask.prepared
    if not ask.span.is_recording():
        return
    if prepared.decision:
        decision = tokenizer_pb.ContextDecision.Name(prepared.decision)
        ask.span.set_attribute(names.CONTEXT_DECISION, decision.removeprefix("CONTEXT_DECISION_"))
    if prepared.HasField("edits"):
        removed = original_tokens(prepared) - prepared.input.tokens
        ask.span.set_attribute(names.TOKENS_REMOVED, removed)
    if ask.summary_cost_nanos:
        ask.span.set_attribute(names.SUMMARY_NANO_USD, ask.summary_cost_nanos)


def _messages_cut(ask: Ask) -> int:
    cut = _cut_of(ask.prepared)
    return sum(1 for message in ask.prompt.messages[:cut] if message.role not in _INSTRUCTIONS)
