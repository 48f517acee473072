"""A provider that answers from a script, for tests of the saga alone."""

import asyncio

from spendgate.chat.v1 import chat_pb2
from spendgate.gateway.v1 import gateway_service_pb2 as pb

from gateway.providers.port import ProviderAnswer, ProviderDelta, ProviderEnd, ToldTokens

USAGE = chat_pb2.TokenUsage(input_tokens=10, output_tokens=2)


class FakeProvider:
    """gateway.provider.Provider. `script` holds what successive calls do: an exception to raise,
    or the usage to report (None: none). An empty script answers with USAGE."""

    def __init__(self, *script) -> None:
        self.script = list(script)
        self.calls = []
        self.gate = None
        # Whole answers given: from then on money is owed.
        self.answered = 0
        self.pieces = ("Hello", " there")
        # What a model says, by the provider's name of it, instead of the pieces; an exception is
        # raised.
        self.says = {}
        self.break_after = None

    async def complete(self, call, deadline):
        usage = await self._begin(call)
        content = self.says.get(call.model, "".join(self.pieces))
        message = chat_pb2.Message(role=chat_pb2.ROLE_ASSISTANT, content=content)
        choice = chat_pb2.Choice(message=message, finish_reason=chat_pb2.FINISH_REASON_STOP)
        self.answered += 1
        return ProviderAnswer([choice], usage, False, call.model, "r1", "", _told(usage))

    async def stream(self, call, deadline):
        usage = await self._begin(call)
        for n, text in enumerate(self.pieces):
            if self.break_after is not None and n >= self.break_after[0]:
                raise self.break_after[1]
            yield ProviderDelta(pb.Delta(content=text))
            await asyncio.sleep(0)
        yield ProviderDelta(pb.Delta(finish_reason=chat_pb2.FINISH_REASON_STOP))
        yield ProviderEnd(usage, False, call.model, "r1", "", _told(usage))

    async def close(self):
        pass

    async def _begin(self, call):
        self.calls.append(call)
        await (self.gate.wait() if self.gate else asyncio.sleep(0))
        if isinstance(self.says.get(call.model), Exception):
            raise self.says[call.model]
        step = self.script.pop(0) if self.script else USAGE
        if isinstance(step, Exception):
            raise step
        return step


def _told(usage):
    return usage and ToldTokens(usage.input_tokens, usage.output_tokens)
