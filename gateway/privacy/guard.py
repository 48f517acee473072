"""Keeps personal data and secrets from providers, for tenants that want it.

Between the saga and a provider: what patterns find in a prompt (redact.py) goes out as a name, and
where the answer says the name, the caller reads the value. The cache and the books see what the
caller sees. Images and sound go out as they are; so do names of people in plain words, which no
pattern knows.
"""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from contextvars import ContextVar
from dataclasses import replace

from spendgate.chat.v1 import chat_pb2
from spendgate.gateway.v1 import gateway_service_pb2 as gateway_pb2

from catalog.privacy import PrivacyConfig
from chassis.deadline import Deadline
from chassis.invariant import InvariantBroken
from gateway.privacy.placeholders import Opening, Vault
from gateway.privacy.redact import Redactor
from gateway.providers.port import (
    Provider,
    ProviderAnswer,
    ProviderCall,
    ProviderDelta,
    ProviderEnd,
)

# Longer prompts are looked through beside the loop: it takes about a millisecond.
INLINE_BYTES_MAX = 8 * 1024

# Whose request this task works on; set where a request is let in.
_tenant: ContextVar[str] = ContextVar("spendgate_tenant")


def work_for(tenant: str) -> None:
    """Tells the task, and those it makes, whose request it works on."""
    _tenant.set(tenant)


def guarded(provider: Provider, config: PrivacyConfig) -> Provider:
    """The provider behind a guard, where any tenant wants one."""
    return PrivacyGuard(provider, config) if config.guarded() else provider


class PrivacyGuard:
    """gateway.providers.port.Provider in front of another."""

    def __init__(self, provider: Provider, config: PrivacyConfig) -> None:
        self._provider = provider
        self._tenants = config.guarded()
        self._redactor = Redactor(config.redact_patterns)

    async def complete(self, call: ProviderCall, deadline: Deadline) -> ProviderAnswer:
        """See Provider, as for every method here."""
        if not self._wanted():
            return await self._provider.complete(call, deadline)
        closed, vault = await self._closed(call)
        answer = await self._provider.complete(closed, deadline)
        if vault.empty:
            return answer
        choices = [_opened(choice, vault) for choice in answer.choices]
        return replace(answer, choices=choices)

    async def stream(
        self, call: ProviderCall, deadline: Deadline
    ) -> AsyncGenerator[ProviderDelta | ProviderEnd, None]:
        """The answer piece by piece; a piece that may be part of a name waits for the next."""
        vault = None
        if self._wanted():
            call, vault = await self._closed(call)
        async with aclosing(self._provider.stream(call, deadline)) as pieces:
            opening = _StreamOpening(vault) if vault is not None and not vault.empty else None
            async for piece in pieces:
                if opening is None:
                    yield piece
                elif isinstance(piece, ProviderEnd):
                    for delta in opening.rest():
                        yield ProviderDelta(delta)
                    yield piece
                else:
                    yield ProviderDelta(opening.piece(piece.delta))

    def _wanted(self) -> bool:
        tenant = _tenant.get(None)
        if tenant is None:
            raise InvariantBroken("a provider is called for nobody's request")
        return tenant in self._tenants

    async def _closed(self, call: ProviderCall) -> tuple[ProviderCall, Vault]:
        if call.prompt.ByteSize() > INLINE_BYTES_MAX:
            prompt, vault = await asyncio.to_thread(close_prompt, call.prompt, self._redactor)
        else:
            prompt, vault = close_prompt(call.prompt, self._redactor)
        return replace(call, prompt=prompt), vault


def close_prompt(prompt: chat_pb2.Prompt, redactor: Redactor) -> tuple[chat_pb2.Prompt, Vault]:
    """A copy of the prompt with names in it, and what they stand for."""
    closed = chat_pb2.Prompt()
    closed.CopyFrom(prompt)
    vault = Vault(redactor, _texts(prompt))
    for message in closed.messages:
        message.content = vault.close(message.content)
        message.refusal = vault.close(message.refusal)
        message.extra_json = vault.close_json(message.extra_json)
        for part in message.parts:
            if part.WhichOneof("part") == "text":
                part.text = vault.close(part.text)
            part.extra_json = vault.close_json(part.extra_json)
        for call in message.tool_calls:
            call.arguments_json = vault.close_json(call.arguments_json)
            call.extra_json = vault.close_json(call.extra_json)
    for tool in closed.tools:
        tool.description = vault.close(tool.description)
        tool.extra_json = vault.close_json(tool.extra_json)
    closed.extra_json = vault.close_json(closed.extra_json)
    return closed, vault


def _texts(prompt: chat_pb2.Prompt) -> Iterator[str]:
    yield prompt.extra_json
    for tool in prompt.tools:
        yield tool.description
        yield tool.extra_json
    for message in prompt.messages:
        yield message.content
        yield message.refusal
        yield message.extra_json
        for part in message.parts:
            yield part.text
            yield part.extra_json
        for call in message.tool_calls:
            yield call.arguments_json
            yield call.extra_json


def _opened(choice: chat_pb2.Choice, vault: Vault) -> chat_pb2.Choice:
    opened = chat_pb2.Choice()
    opened.CopyFrom(choice)
    message = opened.message
    message.content = vault.open(message.content)
    message.refusal = vault.open(message.refusal)
    for part in message.parts:
        if part.WhichOneof("part") == "text":
            part.text = vault.open(part.text)
    for call in message.tool_calls:
        call.arguments_json = vault.open(call.arguments_json, in_json=True)
    message.extra_json = vault.open(message.extra_json, in_json=True)
    return opened


class _StreamOpening:
    """The texts of a stream, each put together by itself."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        # By choice and what of it: content, refusal, or the arguments of a call by its place.
        self._openings: dict[tuple[int, str, int], Opening] = {}

    def piece(self, delta: gateway_pb2.Delta) -> gateway_pb2.Delta:
        """The piece as far as it can be told; the last of a choice brings what was held back."""
        told = gateway_pb2.Delta()
        told.CopyFrom(delta)
        choice = delta.choice_index
        for name in ("content", "refusal"):
            if text := getattr(delta, name):
                setattr(told, name, self._opening(choice, name).piece(text))
        for call in told.tool_calls:
            if call.arguments_json:
                opening = self._opening(choice, "call", call.index)
                call.arguments_json = opening.piece(call.arguments_json)
        if delta.finish_reason:
            self._add_rest(told, choice)
        return told

    def rest(self) -> Iterator[gateway_pb2.Delta]:
        """What is held back of choices that did not say why they ended."""
        for choice in sorted({choice for choice, _, _ in self._openings}):
            delta = gateway_pb2.Delta(choice_index=choice)
            self._add_rest(delta, choice)
            if delta.content or delta.refusal or delta.tool_calls:
                yield delta

    def _add_rest(self, delta: gateway_pb2.Delta, choice: int) -> None:
        for (of, name, place), opening in self._openings.items():
            if of != choice or not (text := opening.rest()):
                continue
            if name == "call":
                found = next((call for call in delta.tool_calls if call.index == place), None)
                call = found or delta.tool_calls.add(index=place)
                call.arguments_json += text
            else:
                setattr(delta, name, getattr(delta, name) + text)

    def _opening(self, choice: int, name: str, place: int = 0) -> Opening:
        key = (choice, name, place)
        found = self._openings.get(key)
        if found is None:
            found = self._openings[key] = Opening(self._vault, in_json=name == "call")
        return found
