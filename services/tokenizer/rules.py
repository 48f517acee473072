"""What a chat format adds to the texts in it, by vendor.

OpenAI's numbers are those of its cookbook, "How to count tokens with tiktoken", sections 6 and 7.
The others follow from the published chat templates, or from published counts where the template
is not public; their bounds say how much to trust them.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ChatRules:
    """Tokens that a prompt has beside its texts; all of them within `bound_permille`."""

    message_tokens: int = 3
    role_counts: bool = True
    name_tokens: int = 1
    reply_tokens: int = 3
    # Text that the vendor's template puts before every prompt, or before one without a system
    # message.
    preamble_tokens: int = 0
    preamble_without_system_tokens: int = 0
    # Text that comes with the first tool.
    tools_preamble_tokens: int = 0
    # Per function, where tools are counted by OpenAI's formula; None: as JSON text.
    function_tokens: int | None = None
    bound_permille: int = 0
    # The vendor's own count of a whole prompt was seen to be off the rules by so many tokens.
    noise_tokens: int = 0


OPENAI_O200K = ChatRules(function_tokens=7)
# The API counted 109 where the rules give 110 (pydantic-ai, issue 3430).
OPENAI_GPT_5 = ChatRules(function_tokens=7, noise_tokens=1)
OPENAI_CL100K = ChatRules(function_tokens=10)
OPENAI_UNMAPPED = ChatRules(function_tokens=7, bound_permille=100)
# openai/harmony: a system message that names the model, the date and the channels always comes
# first.
HARMONY = ChatRules(reply_tokens=2, preamble_tokens=65, function_tokens=7, bound_permille=150)
# The tool-use prompt is published per model: 313 to 346 tokens for Claude 4.
CLAUDE = ChatRules(
    message_tokens=2,
    role_counts=False,
    reply_tokens=4,
    tools_preamble_tokens=346,
    bound_permille=400,
)
GEMINI = ChatRules(message_tokens=0, role_counts=False, reply_tokens=0)
LLAMA = ChatRules(message_tokens=4, reply_tokens=5, bound_permille=200)
# <|im_start|>role\n ... <|im_end|>\n
CHATML = ChatRules(message_tokens=4, reply_tokens=3, bound_permille=100)
# The same; its template brings a system message of its own where there is none.
SMOLLM = ChatRules(
    message_tokens=4, reply_tokens=3, preamble_without_system_tokens=22, bound_permille=100
)
MISTRAL = ChatRules(message_tokens=2, role_counts=False, reply_tokens=1, bound_permille=400)
DEEPSEEK = ChatRules(message_tokens=1, role_counts=False, reply_tokens=2, bound_permille=400)
UNKNOWN = ChatRules(message_tokens=4, bound_permille=400)
