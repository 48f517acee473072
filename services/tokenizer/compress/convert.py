"""Between the contract's messages and Compress."""

from google.rpc import status_pb2
from spendgate.tokenizer.v1 import tokenizer_service_pb2 as pb

from services.tokenizer.compress.compress import (
    DEFAULT_RULES,
    RESULTS_KEPT,
    Compressed,
    Options,
    Removal,
    Rule,
)
from services.tokenizer.context.conversation import STABLE_RULES
from services.tokenizer.convert import count_of
from services.tokenizer.errors import compression_invalid
from services.tokenizer.models import Model
from services.tokenizer.prices import nanos, rates_of

_RULES: dict[pb.CompressRule, Rule] = {
    pb.COMPRESS_RULE_ELIDE: Rule.ELIDE,
    pb.COMPRESS_RULE_DUPLICATES: Rule.DUPLICATES,
    pb.COMPRESS_RULE_JSON: Rule.JSON,
    pb.COMPRESS_RULE_WHITESPACE: Rule.WHITESPACE,
    pb.COMPRESS_RULE_FILLERS: Rule.FILLERS,
    pb.COMPRESS_RULE_ABBREVIATIONS: Rule.ABBREVIATIONS,
    pb.COMPRESS_RULE_EXTRACT: Rule.EXTRACT,
}
_VALUES = {rule: value for value, rule in _RULES.items()}


def options_of(item: pb.CompressItem) -> Options:
    """What an item asks for. Raises InvalidFields (COMPRESSION_INVALID, PRICE_INVALID)."""
    rates_of(item.price)
    return _options(item, DEFAULT_RULES)


def prompt_options_of(options: pb.CompressOptions) -> Options:
    """What a prompt's options ask for. Raises InvalidFields (COMPRESSION_INVALID)."""
    return _options(options, STABLE_RULES | {Rule.DUPLICATES})


def _options(wanted: pb.CompressItem | pb.CompressOptions, default: frozenset[Rule]) -> Options:
    if any(rule not in _RULES for rule in wanted.rules):
        raise compression_invalid("rules", "has an unknown rule")
    kept = wanted.tool_results_kept if wanted.HasField("tool_results_kept") else RESULTS_KEPT
    return Options(
        rules=frozenset(_RULES[rule] for rule in wanted.rules) or default,
        results_kept=kept,
        keep_permille=wanted.keep_permille,
        query=wanted.query,
        instructions=wanted.instructions,
    )


def removal_of(removal: Removal) -> pb.CompressRemoval:
    """What one rule took from one message."""
    return pb.CompressRemoval(
        rule=_VALUES[removal.rule],
        message=removal.place,
        tokens=removal.tokens,
        chars=removal.chars,
    )


def compressed_of(model: Model, done: Compressed, price: pb.TokenPrice) -> pb.Compressed:
    """The shorter conversation and what that saves."""
    rates, saved = rates_of(price), max(0, done.before.tokens - done.after.tokens)
    return pb.Compressed(
        messages=done.messages,
        original=count_of(model, done.before),
        count=count_of(model, done.after),
        removals=[removal_of(each) for each in done.removals],
        saved_nanos=nanos(rates, fresh=saved),
        saved_cached_nanos=nanos(rates, cached=saved),
    )


def compress_result(outcome: pb.Compressed | status_pb2.Status) -> pb.CompressResult:
    """One item's result."""
    if isinstance(outcome, pb.Compressed):
        return pb.CompressResult(compressed=outcome)
    return pb.CompressResult(error=outcome)
