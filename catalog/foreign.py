"""Names under which the fleet's messages carry what they have no field for.

All rooms know them: the gateway puts them there, the tokenizer counts what they hold
(docs/providers.md says what stands where).
"""

from typing import Final

# Of a message's extra_json: Anthropic's own blocks, all of them, as objects {"index": ..., "block":
# ...}. Its text and its calls of functions stand in the message's fields as well.
ANTHROPIC_CONTENT: Final = "anthropic_content"
# Of a message's extra_json: thinking as text, as servers that speak OpenAI's protocol tell it.
REASONING: Final = "reasoning_content"
# Of any extra_json: a marker of what to keep in the provider's prompt cache. No model reads it.
CACHE_CONTROL: Final = "cache_control"
# Of the prompt's extra_json: options of Anthropic's own.
ANTHROPIC_OPTIONS: Final = "anthropic"
