"""Which parts of a prompt are worth keeping in the provider's prompt cache. Pure.

A prefix written once and read `n` times costs `w + n r` a token, against `(n + 1) i` uncached
(i: price of text read, w: of text written to the cache, r: of text read from it). Keeping it pays
from n = (w - i) / (i - r) reads on: 0.28 at Anthropic's prices for five minutes (w = 1.25 i,
r = 0.1 i), at once where writes cost nothing more. Below the provider's shortest prefix nothing is
kept, and nothing charged for the attempt.
"""

from dataclasses import dataclass

from catalog.price import Rates
from catalog.prompt_cache import PromptCache

PERMILLE = 1000
# Of three prompts that begin like one of the last few minutes, two or more are followed by another.
# A first sight tells nothing; a turn with tools, or with turns before it, is one of a loop.
_SEEN_PERMILLE = 2_000
_UNDER_WAY_PERMILLE = 900
_TOOLS_PERMILLE = 500
_FIRST_SIGHT_PERMILLE = 0
# How many tokens are at least in so many bytes of UTF-8 text; fewer only mean no cache.
_BYTES_A_TOKEN = 4


@dataclass(frozen=True, slots=True)
class PromptParts:
    """What is known of a prompt before it is sent. Sizes are bytes of text."""

    # Tools and instructions: what other requests share.
    stable_bytes: int
    # All of it.
    whole_bytes: int
    has_tools: bool
    # The assistant has spoken before: the conversation goes on.
    under_way: bool
    # Another request began with the same tools and instructions within the cache's lifetime.
    stable_seen: bool


@dataclass(frozen=True, slots=True)
class Worth:
    """What is worth being kept."""

    stable: bool
    conversation: bool


NOTHING = Worth(stable=False, conversation=False)


def reads_permille_min(rates: Rates) -> int | None:
    """From how many later reads on (thousandths) keeping a prefix pays. None: never."""
    saved = rates.input_picos - rates.cached_input_picos
    if saved <= 0:
        return None
    premium = max(0, rates.cache_write_picos - rates.input_picos)
    return -(-premium * PERMILLE // saved)


def worth_keeping(parts: PromptParts, cache: PromptCache, rates: Rates | None) -> Worth:
    """What of a prompt pays to be kept, at these rates; nothing where they are not known."""
    needed = None if rates is None else reads_permille_min(rates)
    if needed is None:
        return NOTHING
    long = cache.prefix_tokens_min * _BYTES_A_TOKEN
    conversation = parts.whole_bytes >= long and _goes_on(parts) >= needed
    expected = _SEEN_PERMILLE if parts.stable_seen else _goes_on(parts)
    stable = parts.stable_bytes >= long and expected >= needed
    return Worth(stable=stable, conversation=conversation)


def _goes_on(parts: PromptParts) -> int:
    """Calls expected, within the cache's lifetime, that begin with all of this prompt."""
    if parts.under_way:
        return _UNDER_WAY_PERMILLE
    return _TOOLS_PERMILLE if parts.has_tools else _FIRST_SIGHT_PERMILLE
