"""What providers keep of prompts they have read: shortest prefix, lifetime. Our own small table.

Sources, checked 2026-11-23: OpenAI's guide to prompt caching and model pages, Microsoft's page on
prompt caching for Azure OpenAI, Anthropic's page on prompt caching, Google's on context caching.
Prices are not here; they are the price book's.
"""

from dataclasses import dataclass
from typing import Final

from catalog.vendor_names import vendor_name


@dataclass(frozen=True, slots=True)
class PromptCache:
    """No shorter prefix is cached, and none longer than its lifetime without being read."""

    prefix_tokens_min: int
    lifetime_seconds: int


DEFAULT: Final = PromptCache(1024, 300)
# By the beginning of a published name; the longest that fits holds.
_BY_NAME: Final = {
    "gpt-": PromptCache(1024, 300),
    "gpt-5.6": PromptCache(1024, 1800),
    "gpt-6": PromptCache(1024, 1800),
    "claude-": PromptCache(1024, 300),
    "claude-opus-4-5": PromptCache(4096, 300),
    "claude-opus-4-6": PromptCache(4096, 300),
    "claude-opus-4-7": PromptCache(2048, 300),
    "claude-opus-5": PromptCache(512, 300),
    "claude-fable-5": PromptCache(512, 300),
    "claude-sonnet-4-6": PromptCache(2048, 300),
    "claude-haiku-4-5": PromptCache(4096, 300),
    "gemini-": PromptCache(2048, 300),
}


def prompt_cache_of(model: str) -> PromptCache:
    """What is known of a published model, such as "gpt-5.4" or "openai/gpt-5.4"."""
    name = vendor_name(model)
    fitting = [start for start in _BY_NAME if name.startswith(start)]
    return _BY_NAME[max(fitting, key=len)] if fitting else DEFAULT
