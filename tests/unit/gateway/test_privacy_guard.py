"""What a tenant keeps from providers never reaches one, and its answers read as if it had."""

import json

import pytest
from spendgate.chat.v1 import chat_pb2
from spendgate.gateway.v1 import gateway_service_pb2 as pb

from catalog.privacy import PrivacyConfig, TenantPrivacy
from chassis.deadline import Deadline
from gateway.privacy.guard import guarded, work_for
from gateway.providers.join import AnswerJoiner
from gateway.providers.port import ProviderAnswer, ProviderCall, ProviderDelta, ProviderEnd

KEPT = {
    "email": "ann.miller@example.org",
    "card": "4111 1111 1111 1111",
    "iban": "DE89 3704 0044 0532 0130 00",
    "phone": "+49 30 1234567",
    "ssn": "078-05-1120",
    "key": "sk-proj-abcdefghijklmnop1234",
}
TEXT = "; ".join(f"my {kind} is {value}" for kind, value in KEPT.items())
OPTED = PrivacyConfig(
    tenants={"acme": TenantPrivacy(guard=True)}, redact_patterns=["ACME-[0-9]{6}"]
)


class Parrot:
    """A provider that says what it was told, in pieces of `size` letters."""

    def __init__(self, size=3):
        self.heard = []
        self.size = size

    def _said(self, call):
        self.heard.append(call.prompt.SerializeToString().decode("utf-8", "ignore"))
        return call.prompt.messages[-1].content

    async def complete(self, call, deadline):
        text = self._said(call)
        tool = chat_pb2.ToolCall(id="t", name="f", arguments_json=json.dumps({"said": text}))
        message = chat_pb2.Message(role=chat_pb2.ROLE_ASSISTANT, content=text, tool_calls=[tool])
        choice = chat_pb2.Choice(message=message, finish_reason=chat_pb2.FINISH_REASON_STOP)
        return ProviderAnswer([choice], None, False, "m", "r", "")

    async def stream(self, call, deadline):
        text = self._said(call)
        arguments = json.dumps({"said": text})
        for at in range(0, len(text), self.size):
            yield ProviderDelta(pb.Delta(content=text[at : at + self.size]))
        for at in range(0, len(arguments), self.size):
            piece = pb.ToolCallDelta(index=0, arguments_json=arguments[at : at + self.size])
            yield ProviderDelta(pb.Delta(tool_calls=[piece]))
        yield ProviderDelta(pb.Delta(finish_reason=chat_pb2.FINISH_REASON_STOP))
        yield ProviderEnd(None, False, "m", "r", "")


def call_of(*texts, **prompt):
    messages = [chat_pb2.Message(role=chat_pb2.ROLE_USER, content=text) for text in texts]
    return ProviderCall("m", chat_pb2.Prompt(messages=messages, **prompt), 100)


def soon():
    return Deadline.after(5)


async def streamed(provider, call):
    joined = AnswerJoiner()
    async for piece in provider.stream(call, soon()):
        if isinstance(piece, ProviderDelta):
            joined.add(piece.delta)
    return joined.choices()[0].message


async def test_nothing_of_it_goes_out_and_all_of_it_comes_back():
    """Each kind, the operator's own pattern too, in texts and in the arguments of a call."""
    work_for("acme")
    parrot = Parrot()
    text = TEXT + "; order ACME-123456"
    answer = await guarded(parrot, OPTED).complete(call_of(text), soon())
    for value in (*KEPT.values(), "ACME-123456"):
        assert value not in parrot.heard[0]
    assert "[EMAIL_1]" in parrot.heard[0]
    message = answer.choices[0].message
    assert message.content == text
    assert json.loads(message.tool_calls[0].arguments_json) == {"said": text}


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 11, 1000])
async def test_a_name_may_be_cut_by_the_border_of_two_pieces(size):
    """Whatever the pieces, the caller reads the values whole."""
    work_for("acme")
    parrot = Parrot(size)
    text = TEXT + " [not a name] [ [EMAIL"
    message = await streamed(guarded(parrot, OPTED), call_of(text))
    assert message.content == text
    assert json.loads(message.tool_calls[0].arguments_json) == {"said": text}
    assert KEPT["email"] not in parrot.heard[0]


async def test_who_did_not_ask_for_it_is_left_alone():
    """Another tenant's prompt goes out as it came; without any that asks there is no guard."""
    parrot = Parrot()
    work_for("other")
    await guarded(parrot, OPTED).complete(call_of(TEXT), soon())
    assert KEPT["email"] in parrot.heard[0]
    assert guarded(parrot, PrivacyConfig()) is parrot


async def test_equal_values_have_one_name_and_a_conversation_keeps_its_names():
    """So that the model knows it is the same, and a provider's cache the beginning."""
    work_for("acme")
    parrot = Parrot()
    guard = guarded(parrot, OPTED)
    first = "write to a@example.org and b@example.org, then a@example.org"
    await guard.complete(call_of(first), soon())
    await guard.complete(call_of(first, "and c@example.org"), soon())
    assert "[EMAIL_1] and [EMAIL_2], then [EMAIL_1]" in parrot.heard[0]
    assert "[EMAIL_1] and [EMAIL_2], then [EMAIL_1]" in parrot.heard[1]
    assert "[EMAIL_3]" in parrot.heard[1]


async def test_a_callers_own_brackets_are_not_taken_for_names():
    """Who writes [EMAIL_1] reads [EMAIL_1]."""
    work_for("acme")
    parrot = Parrot()
    text = "what is [EMAIL_1]? mine is a@example.org"
    answer = await guarded(parrot, OPTED).complete(call_of(text), soon())
    assert answer.choices[0].message.content == text
    assert "[EMAIL_1x]" in parrot.heard[0]


async def test_values_are_escaped_where_they_stand_in_json():
    """A key of several lines in a tool's arguments is still JSON; so is what goes out."""
    work_for("acme")
    key = '-----BEGIN PRIVATE KEY-----\nab"c\n-----END PRIVATE KEY-----'
    tool = chat_pb2.ToolCall(id="t", name="f", arguments_json=json.dumps({"k": key, "n": 4111}))
    said = chat_pb2.Message(role=chat_pb2.ROLE_ASSISTANT, tool_calls=[tool])
    call = call_of("")
    call.prompt.messages.insert(0, said)
    call.prompt.messages[-1].content = key
    parrot = Parrot()
    answer = await guarded(parrot, OPTED).complete(call, soon())
    assert json.loads(answer.choices[0].message.tool_calls[0].arguments_json) == {"said": key}
    assert "PRIVATE" not in parrot.heard[0].replace("[PRIVATE_KEY_1]", "")


async def test_long_prompts_are_looked_through_beside_the_loop():
    """And come back all the same."""
    work_for("acme")
    text = "filler " * 3000 + TEXT
    answer = await guarded(Parrot(), OPTED).complete(call_of(text), soon())
    assert answer.choices[0].message.content == text


async def test_what_other_protocols_say_is_kept_too():
    """Blocks of another protocol hold prompts too; what a provider sealed goes back as it is."""
    work_for("acme")
    block = {"type": "document", "source": {"type": "text", "data": TEXT}}
    sealed = {"type": "thinking", "thinking": "hm", "signature": "x ann.miller@example.org"}
    message = chat_pb2.Message(
        role=chat_pb2.ROLE_USER,
        parts=[chat_pb2.ContentPart(extra_json=json.dumps(block))],
        extra_json=json.dumps({"anthropic_content": [{"index": 0, "block": sealed}]}),
    )
    tool = chat_pb2.Tool(extra_json=json.dumps({"type": "x", "about": KEPT["email"]}))
    parrot = Parrot()
    call = ProviderCall("m", chat_pb2.Prompt(messages=[message], tools=[tool]), 10)
    await guarded(parrot, OPTED).complete(call, Deadline.after(5))
    (heard,) = parrot.heard
    assert heard.count(KEPT["email"]) == 1
    assert sealed["signature"] in heard
    assert KEPT["iban"] not in heard
