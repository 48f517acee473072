"""A summary of what was cut from a conversation, written by a model the caller chose.

The summary is asked for as a request of its own: routed, budgeted, cached and booked like any
other, on the conversation's session. When it cannot be had, the tokenizer's own extract stands.
"""

import hashlib
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Final

from spendgate.chat.v1 import chat_pb2
from spendgate.gateway.v1 import gateway_service_pb2 as pb
from spendgate.tokenizer.v1 import tokenizer_service_pb2 as tokenizer_pb

from gateway.ports import Services
from gateway.saga.answers import Answer
from gateway.saga.ask import Ask
from gateway.saga.shaping import sent_prompt
from gateway.saga.usage import text_of
from gateway.validate import TAGS_MAX

_log = logging.getLogger("gateway.saga.summaries")

HEAD: Final = "From earlier in this conversation: "
# As the tokenizer allows for facts: two fifths of what is left after a cut, which is half.
BUDGET_SHARE: Final = 5
# A summary is asked for once a cut, not once a call: the cut stays for many calls.
KNOWN_MAX: Final = 1024
TAG: Final = ("spendgate.call", "summary")
_MESSAGE_TOKENS: Final = 8  # for the message around it
_INSTRUCTIONS: Final = frozenset({chat_pb2.ROLE_SYSTEM, chat_pb2.ROLE_DEVELOPER})
_TASK: Final = (
    "Summarize this beginning of a conversation for the assistant who goes on with it. Keep every "
    "id, number, name, date, decision and open question exactly as written. Add nothing."
)

Complete = Callable[[Ask, pb.CompleteRequest], Awaitable[Answer]]


class Summaries:
    """Puts a model's summary in the place of the tokenizer's."""

    def __init__(self, services: Services, complete: Complete) -> None:
        """`complete` answers a request on behalf of the conversation it is for."""
        self._services = services
        self._complete = complete
        self._known: OrderedDict[bytes, str] = OrderedDict()

    async def write(self, ask: Ask) -> None:
        """Writes the summary into the ask, if one is wished for and something was cut."""
        wishes, prepared = ask.wishes, ask.prepared
        wanted = wishes.policy == pb.CONTEXT_POLICY_SUMMARY and wishes.summary_model
        if not wanted or not prepared.edits.cut_from_message:
            return
        request = summary_request(ask)
        try:
            text = await self._text(ask, request)
            if not text.strip():
                return
            memory = HEAD + text.strip()
            item = tokenizer_pb.CountItem(
                traceparent=ask.traceparent, model=ask.counted_as, text=memory
            )
            tokens = await self._services.count(item, ask.deadline) + _MESSAGE_TOKENS
        except Exception as error:
            # What was cut still stands there as its weightiest sentences.
            _log.warning("no summary", extra={"error_type": type(error).__name__})
            return
        more = tokens - prepared.edits.memory_tokens
        prepared.edits.memory, prepared.edits.memory_tokens = memory, tokens
        prepared.segments.history_tokens += more
        prepared.input.tokens += more
        ask.shaped = sent_prompt(ask.prompt, prepared.edits)

    async def _text(self, ask: Ask, request: pb.CompleteRequest) -> str:
        hashing = hashlib.sha256(ask.scope.SerializeToString(deterministic=True))
        hashing.update(request.model.encode() + b"\0")
        hashing.update(request.prompt.SerializeToString(deterministic=True))
        digest = hashing.digest()
        known = self._known.get(digest)
        if known is not None:
            self._known.move_to_end(digest)
            return known
        answer = await self._complete(ask, request)
        ask.summary_cost_nanos = answer.outcome.cost.cost_nanos
        text = self._known[digest] = text_of(answer.choices)
        if len(self._known) > KNOWN_MAX:
            self._known.popitem(last=False)
        return text


def summary_request(ask: Ask) -> pb.CompleteRequest:
    """The request for a summary of what was cut; sent whole, and drawn so that it can be cached."""
    attribution, wishes = ask.attribution, ask.wishes
    cut = ask.prompt.messages[: ask.prepared.edits.cut_from_message]
    lines = [_line(message) for message in cut if message.role not in _INSTRUCTIONS]
    options = pb.RequestOptions(
        feature=attribution.feature,
        user=attribution.user,
        project=attribution.project,
        session=attribution.session,
        tags=attribution.tags,
        compression=pb.CompressionOptions(level=pb.COMPRESSION_LEVEL_OFF),
        context=pb.ContextOptions(policy=pb.CONTEXT_POLICY_ALL),
    )
    if len(options.tags) < TAGS_MAX:
        options.tags[TAG[0]] = TAG[1]
    return pb.CompleteRequest(
        model=wishes.summary_model,
        prompt=chat_pb2.Prompt(
            messages=[
                chat_pb2.Message(role=chat_pb2.ROLE_SYSTEM, content=_TASK),
                chat_pb2.Message(role=chat_pb2.ROLE_USER, content="\n".join(lines)),
            ],
            sampling=chat_pb2.Sampling(
                temperature=0, output_tokens_max=max(1, wishes.budget_tokens // BUDGET_SHARE)
            ),
        ),
        options=options,
    )


def _line(message: chat_pb2.Message) -> str:
    role = chat_pb2.Role.Name(message.role).removeprefix("ROLE_").lower()
    texts = [message.content, *(part.text for part in message.parts)]
    texts += [f"{call.name}({call.arguments_json})" for call in message.tool_calls]
    return f"{role}: " + " ".join(text for text in texts if text)
