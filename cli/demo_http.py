"""One request of the day through the HTTP door, as an OpenAI client would send it."""

import time
from types import TracebackType
from typing import Any, Self

import aiohttp
from spendgate.chat.v1 import chat_pb2

from cli.demo_call import CALL_SECONDS_MAX, REFUSED, Ask
from cli.demo_outcome import Outcome, Source

_ROLES = {
    chat_pb2.ROLE_SYSTEM: "system",
    chat_pb2.ROLE_USER: "user",
    chat_pb2.ROLE_ASSISTANT: "assistant",
}
_SOURCES = {
    "exact": Source.CACHE_EXACT,
    "semantic": Source.CACHE_SEMANTIC,
    "shared": Source.SHARED,
    "miss": Source.PROVIDER,
}


class HttpDoor:
    """The gateway's OpenAI-compatible door."""

    def __init__(self, base_url: str, key: str) -> None:
        self._url = f"{base_url.rstrip('/')}/v1/chat/completions"
        # No proxy of the shell's may stand between two processes of one machine.
        self._session = aiohttp.ClientSession(
            trust_env=False,
            headers={"Authorization": f"Bearer {key}"},
            timeout=aiohttp.ClientTimeout(total=CALL_SECONDS_MAX),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._session.close()

    async def send(self, ask: Ask) -> Outcome:
        """What becomes of a request. Never raises: no connection and no JSON are failures too."""
        row = ask.row
        headers = {"x-spendgate-feature": row.feature, "x-spendgate-session": row.session}
        began = time.perf_counter_ns()
        try:
            posted = self._session.post(self._url, json=body_of(ask), headers=headers)
            async with posted as response:
                answer = await response.json(content_type=None)
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            reason = type(error).__name__
            return Outcome(row, Source.FAILED, _micros(began), reason=reason)
        return outcome_of(ask, _micros(began), answer)


def body_of(ask: Ask) -> dict[str, Any]:
    """The request in OpenAI's JSON."""
    sampling = ask.prompt.sampling
    body: dict[str, Any] = {
        "model": ask.model,
        "messages": [
            {"role": _ROLES[message.role], "content": message.content}
            for message in ask.prompt.messages
        ],
        "max_completion_tokens": sampling.output_tokens_max,
        "temperature": sampling.temperature,
        "user": ask.row.user,
    }
    if sampling.stop:
        body["stop"] = list(sampling.stop)
    return body


def outcome_of(ask: Ask, latency_us: int, answer: dict[str, Any]) -> Outcome:
    """The outcome of an answer in OpenAI's JSON, which carries a `spendgate` object."""
    error = answer.get("error")
    if error is not None:
        told = answer.get("spendgate", {})
        reason = str(told.get("reason") or error.get("code") or error.get("type"))
        refused = reason == REFUSED
        return Outcome(
            row=ask.row,
            source=Source.REFUSED if refused else Source.FAILED,
            latency_us=latency_us,
            budget_id=str(told["metadata"]["budgetId"]) if refused else "",
            reason=reason,
        )
    told = answer["spendgate"]
    return Outcome(
        row=ask.row,
        source=_SOURCES[told["cache"]],
        latency_us=latency_us,
        answer=answer["choices"][0]["message"]["content"],
        model=told["model"],
        trace_id=told["trace_id"],
        request_id=told["request_id"],
        cost_nanos=told["cost_nanos"],
        counterfactual_nanos=told["counterfactual_nanos"],
        saved_nanos=told["savings"],
        booking_pending=told["booking_pending"],
    )


def _micros(began_ns: int) -> int:
    return (time.perf_counter_ns() - began_ns) // 1000
