"""Between the contract's messages and Compress."""

from google.rpc import status_pb2
from spendgate.tokenizer.v1 import tokenizer_service_pb2 as pb

from services.tokenizer.compress.compress import (
    DEFAULT_RULES,
    RESULTS_KEPT,
    Compressed,
    Options,
    Rule,
)
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
    if any(rule not in _RULES for rule in item.rules):
        raise compression_invalid("rules", "has an unknown rule")
    rates_of(item.price)
    return Options(
        rules=frozenset(_RULES[rule] for rule in item.rules) or DEFAULT_RULES,
        results_kept=item.tool_results_kept if item.HasField("tool_results_kept") else RESULTS_KEPT,
        keep_permille=item.keep_permille,
        query=item.query,
        instructions=item.instructions,
    )


def compressed_of(model: Model, done: Compressed, price: pb.TokenPrice) -> pb.Compressed:
    """The shorter conversation and what that saves."""
    rates, saved = rates_of(price), max(0, done.before.tokens - done.after.tokens)
    return pb.Compressed(
        messages=done.messages,
        original=count_of(model, done.before),
        count=count_of(model, done.after),
        removals=[
            pb.CompressRemoval(
                rule=_VALUES[each.rule], message=each.place, tokens=each.tokens, chars=each.chars
            )
            for each in done.removals
        ],
        saved_nanos=nanos(rates, fresh=saved),
        saved_cached_nanos=nanos(rates, cached=saved),
    )


def compress_result(outcome: pb.Compressed | status_pb2.Status) -> pb.CompressResult:
    """One item's result."""
    if isinstance(outcome, pb.Compressed):
        return pb.CompressResult(compressed=outcome)
    return pb.CompressResult(error=outcome)
