"""What the books are told of a prompt besides its tokens: keyed hashes, never text."""

import asyncio
import hmac

from spendgate.cache.v1 import cache_service_pb2 as cache_pb
from spendgate.chat.v1 import chat_pb2
from spendgate.ledger.v1 import entry_pb2

from gateway.saga.ask import Ask

# Hashing more than this takes longer than the loop may be kept.
INLINE_BYTES_MAX = 256 * 1024
_HEX_CHARS = 32
# Refused for what the two say: another number, date, name, a "not".
_GUARDS = "guard."
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

    def name_near(self, ask: Ask) -> None:
        """Names the prompt that was near enough to be served for, where the cache refused it for
        no difference that could be pointed at: then an answer was paid for nearly twice. What the
        cache saw is told to nobody else who did not ask."""
        seen, finding = ask.finding.explanation, ask.finding
        if not finding.HasField("answer"):
            near = next((each for each in seen.candidates if _is_near(each, seen)), None)
            if near is not None:
                named = near.entry_key.encode()
                ask.facts.near_hash = self._mac(ask.attribution.tenant, b"near", named)
        if not ask.cache_explain:
            finding.ClearField("explanation")

    def _hashes(self, tenant: str, prompt: chat_pb2.Prompt) -> tuple[str, str]:
        system = chat_pb2.Prompt(messages=[m for m in prompt.messages if m.role in _SYSTEM])
        whole = self._hash(tenant, b"prompt", prompt)
        return whole, self._hash(tenant, b"system", system) if system.messages else ""

    def _hash(self, tenant: str, what: bytes, message: chat_pb2.Prompt) -> str:
        return self._mac(tenant, what, message.SerializeToString(deterministic=True))

    def _mac(self, tenant: str, what: bytes, named: bytes) -> str:
        told = b"\0".join((tenant.encode(), what, named))
        return hmac.digest(self._key, told, "sha256").hex()[:_HEX_CHARS]


def _is_near(seen: cache_pb.SeenCandidate, among: cache_pb.Explanation) -> bool:
    close = seen.similarity >= among.similarity_min > 0
    return close and not seen.refused_by.startswith(_GUARDS)
