"""The key by which OpenAI finds the machine that has a prompt's beginning in its cache. Pure.

OpenAI caches prompts of 1,024 tokens and more by itself, on the machine that read them; requests
that begin alike and carry one key go to one machine. A key of few requests is worth nothing and
one of very many (over about 15 a minute) spills over, so the key names what prompts have in common:
the system texts and the tools. (platform.openai.com, prompt caching.)
"""

import hashlib

from spendgate.chat.v1 import chat_pb2

from gateway.providers.port import ProviderCall

# 1,024 tokens have hardly fewer bytes; below, nothing is cached and a key would only mislead.
PREFIX_BYTES_MIN = 2_048
_SYSTEM = frozenset({chat_pb2.ROLE_SYSTEM, chat_pb2.ROLE_DEVELOPER})
_HEX_CHARS = 32


def cache_key(call: ProviderCall) -> str:
    """The key, the same for calls that begin alike; "" where it does not pay.

    `call.partition` keeps tenants apart: a key of one never equals one of another.
    """
    prompt = call.prompt
    beginning = chat_pb2.Prompt(tools=prompt.tools)
    for message in prompt.messages:
        if message.role not in _SYSTEM:
            break
        beginning.messages.append(message)
    whole = beginning.SerializeToString(deterministic=True)
    if not call.partition or len(whole) < PREFIX_BYTES_MIN:
        return ""
    named = b"\0".join((call.partition.encode(), call.model.encode(), whole))
    return "sg-" + hashlib.sha256(named).hexdigest()[:_HEX_CHARS]
