"""When keeping a prefix in the provider's prompt cache pays."""

from catalog.cache_markers import NOTHING, PromptParts, Worth, reads_permille_min, worth_keeping
from catalog.facts import fact_about
from catalog.price import Rates
from catalog.prompt_cache import PromptCache, prompt_cache_of
from catalog.vendor_names import vendor_name

CACHE = PromptCache(1_000, 300)


def rates(read: int, cached: int, write: int) -> Rates:
    return Rates(read, cached, write, write, read, read, read)


def parts(**changes: object) -> PromptParts:
    plain = {
        "stable_bytes": 4_000,
        "whole_bytes": 8_000,
        "has_tools": False,
        "under_way": False,
        "stable_seen": False,
    }
    return PromptParts(**{**plain, **changes})  # type: ignore[arg-type]


def test_the_reads_it_takes() -> None:
    """The premium of a write over what a read saves, rounded up."""
    assert reads_permille_min(rates(1_000, 100, 1_250)) == 278
    assert reads_permille_min(rates(1_000, 500, 1_000)) == 0
    assert reads_permille_min(rates(1_000, 1_000, 1_250)) is None


def test_what_is_expected_to_be_read() -> None:
    """Seen before, a loop with tools, a conversation under way; never a first sight."""
    anthropic = rates(1_000, 100, 1_250)
    assert worth_keeping(parts(), CACHE, anthropic) == NOTHING
    assert worth_keeping(parts(stable_seen=True), CACHE, anthropic) == Worth(True, False)
    assert worth_keeping(parts(has_tools=True), CACHE, anthropic) == Worth(True, True)
    assert worth_keeping(parts(under_way=True), CACHE, anthropic) == Worth(True, True)
    assert worth_keeping(parts(under_way=True, stable_bytes=3_999), CACHE, anthropic) == Worth(
        False, True
    )
    # An hour's write at twice the price of reading pays from 1.1 reads on: not for one more call.
    assert worth_keeping(parts(under_way=True), CACHE, rates(1_000, 100, 2_000)) == NOTHING
    assert worth_keeping(parts(under_way=True), CACHE, None) == NOTHING


def test_names_at_other_vendors() -> None:
    """AWS's name of a model tells what is known of it."""
    name = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
    assert vendor_name(name) == "claude-haiku-4-5"
    assert vendor_name("OpenAI/gpt-5.4") == "gpt-5.4"
    assert vendor_name("amazon.nova-lite-v1:0") == "amazon.nova-lite-v1:0"
    assert prompt_cache_of(name).prefix_tokens_min == 4_096
    assert fact_about("regional.anthropic.claude-haiku-4-5-20251001-v1:0") is not None
