"""What an answer used, when the provider does not say: counted, and marked so. Never 0."""

from collections.abc import Iterable

from spendgate.chat.v1 import chat_pb2
from spendgate.ledger.v1 import entry_pb2
from spendgate.router.v1 import router_service_pb2 as router_pb
from spendgate.tokenizer.v1 import tokenizer_service_pb2 as tokenizer_pb

from chassis.deadline import Deadline
from gateway.anthropic.content import REASONING
from gateway.openai.read import object_from
from gateway.ports import Services
from gateway.saga.ask import Ask
from gateway.saga.counted import CountedAs

COUNT_SECONDS_MAX = 5.0


async def usage_of(
    services: Services,
    ask: Ask,
    candidate: router_pb.Candidate,
    counted: CountedAs,
    *,
    reported: chat_pb2.TokenUsage | None,
    written: str,
) -> tuple[chat_pb2.TokenUsage, entry_pb2.UsageSource]:
    """The tokens to charge: as reported, else the prompt's count and that of the text written."""
    # A report of no tokens at all is none: an answer is never free.
    if reported is not None and reported.ByteSize() > 0:
        return reported, entry_pb2.USAGE_SOURCE_REPORTED
    item = tokenizer_pb.CountItem(
        traceparent=ask.traceparent,
        model=counted.model,
        encoding=counted.encoding,
        text=written,
    )
    try:
        output_tokens = await services.count(item, Deadline.after(COUNT_SECONDS_MAX))
    except Exception:
        # No text has more tokens than bytes, and none more than were asked for.
        choices = max(1, ask.prompt.sampling.choice_count)
        output_tokens = min(len(written.encode()), candidate.output_tokens_max * choices)
    usage = chat_pb2.TokenUsage(input_tokens=ask.prepared.input.tokens, output_tokens=output_tokens)
    return usage, entry_pb2.USAGE_SOURCE_COUNTED


def text_of(choices: Iterable[chat_pb2.Choice]) -> str:
    """Everything a provider wrote, tool calls included, for counting."""
    pieces: list[str] = []
    for choice in choices:
        pieces.append(choice.message.content)
        pieces += [part.text for part in choice.message.parts if part.text]
        pieces.append(_thought(choice.message.extra_json))
        for call in choice.message.tool_calls:
            pieces += [call.name, call.arguments_json]
    return "".join(pieces)


def _thought(extra_json: str) -> str:
    """What was thought on the way, where the provider tells it."""
    if REASONING not in extra_json:
        return ""
    thought = object_from(extra_json, "extra_json").get(REASONING)
    return thought if isinstance(thought, str) else ""
