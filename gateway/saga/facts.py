"""What the books are told of a prompt besides its tokens: keyed hashes, never text."""

import asyncio
import hmac

from spendgate.chat.v1 import chat_pb2
from spendgate.ledger.v1 import entry_pb2

from gateway.saga.ask import Ask

# Hashing more than this takes longer than the loop may be kept.
INLINE_BYTES_MAX = 256 * 1024
_HEX_CHARS = 32
_SYSTEM = frozenset({chat_pb2.ROLE_SYSTEM, chat_pb2.ROLE_DEVELOPER})


class PromptNames:
    """Names prompts: the same for equal prompts of a tenant, nothing to anybody without the key."""

    def __init__(self, key: bytes) -> None:
        """`key` must be the same on every gateway, or repeats through two of them go unseen."""
        self._key = key

    async def name(self, ask: Ask) -> None:
        """Writes hashes, tokens by segment and the output limit into `ask.facts`."""
        if ask.prompt.ByteSize() > INLINE_BYTES_MAX:
            hashes = await asyncio.to_thread(self._hashes, ask.attribution.tenant, ask.prompt)
        else:
            hashes = self._hashes(ask.attribution.tenant, ask.prompt)
        segments = ask.prepared.segments
        ask.facts = entry_pb2.PromptFacts(
            prompt_hash=hashes[0],
            system_hash=hashes[1],
            system_tokens=segments.system_tokens,
            tools_tokens=segments.tools_tokens,
            history_tokens=segments.history_tokens,
            new_tokens=segments.new_tokens,
            output_tokens_max=ask.prompt.sampling.output_tokens_max,
        )

    def _hashes(self, tenant: str, prompt: chat_pb2.Prompt) -> tuple[str, str]:
        system = chat_pb2.Prompt(messages=[m for m in prompt.messages if m.role in _SYSTEM])
        whole = self._hash(tenant, b"prompt", prompt)
        return whole, self._hash(tenant, b"system", system) if system.messages else ""

    def _hash(self, tenant: str, what: bytes, message: chat_pb2.Prompt) -> str:
        told = b"\0".join((tenant.encode(), what, message.SerializeToString(deterministic=True)))
        return hmac.digest(self._key, told, "sha256").hex()[:_HEX_CHARS]
