"""Prompts made shorter, conversations fitted and summed up, compression tested: the whole fleet."""

import asyncio
import json
import os
import sys

import pytest
from spendgate.chat.v1 import chat_pb2
from spendgate.gateway.v1 import gateway_service_pb2 as pb
from spendgate.ledger.v1 import entry_pb2

from tests.e2e.house import bearer, prompt_of

pytestmark = pytest.mark.asyncio(loop_scope="session")

RESULT = json.dumps({"rows": [{"id": n, "name": f"canary-{n}"} for n in range(40)]}, indent=2)


def say(role, content, **fields):
    return chat_pb2.Message(role=role, content=content, **fields)


def with_a_result():
    call = chat_pb2.ToolCall(id="c1", name="look", arguments_json="{}")
    return [
        say(chat_pb2.ROLE_USER, "Look it up."),
        say(chat_pb2.ROLE_ASSISTANT, "", tool_calls=[call]),
        say(chat_pb2.ROLE_TOOL, RESULT, tool_call_id="c1"),
    ]


def long_talk(turns=40):
    messages = [say(chat_pb2.ROLE_SYSTEM, "Be brief.")]
    for n in range(turns):
        messages.append(say(chat_pb2.ROLE_USER, f"Where is order A-{n}77? " + "I wait. " * 20))
        messages.append(say(chat_pb2.ROLE_ASSISTANT, f"Order A-{n}77 is on its way. " * 8))
    messages.append(say(chat_pb2.ROLE_USER, "And the first one?"))
    return messages


async def ask(house, secret, messages, model="strong", **options):
    return await house.gateway.Complete(
        pb.CompleteRequest(
            model=model,
            prompt=chat_pb2.Prompt(messages=messages, sampling=chat_pb2.Sampling(temperature=0)),
            options=pb.RequestOptions(**options),
        ),
        timeout=30,
        metadata=bearer(secret),
    )


def saved_by_compression(savings):
    return sum(s.saved_nanos for s in savings if s.cause == entry_pb2.SAVING_CAUSE_COMPRESSION)


async def test_a_tool_result_is_sent_without_blanks_and_the_books_say_what_that_saved(
    house, tenant
):
    """By default; the caller is told, the ledger has the same figures, the span has numbers only.
    Who asks for it gets the result sent as it is."""
    secret = await house.key(tenant)
    summary = (await ask(house, secret, with_a_result())).summary
    sent = house.upstream.seen[-1].body["messages"][2]["content"]
    assert sent == json.dumps(json.loads(RESULT), separators=(",", ":"))
    shaping = summary.shaping
    assert shaping.original_tokens > shaping.sent_tokens > 0
    assert shaping.removed_tokens["json"] == shaping.original_tokens - shaping.sent_tokens
    saved = saved_by_compression(summary.savings)
    assert saved > 0
    assert summary.counterfactual_nanos == summary.cost_nanos + sum(
        saving.saved_nanos for saving in summary.savings
    )
    entry = (await house.entries(tenant, summary.request_id))[0]
    assert saved_by_compression(entry.savings) == saved
    assert entry.counterfactual_nanos == summary.counterfactual_nanos
    again = await ask(house, secret, with_a_result())
    assert again.summary.source == pb.ANSWER_SOURCE_CACHE_EXACT, "found by the prompt as asked"
    off = pb.CompressionOptions(level=pb.COMPRESSION_LEVEL_OFF)
    whole = await ask(house, secret, with_a_result(), compression=off, cache_mode=1)
    assert house.upstream.seen[-1].body["messages"][2]["content"] == RESULT
    assert not whole.summary.HasField("shaping")
    for name in ("gateway", "tokenizer"):
        assert "canary-" not in house.log(name).read_text()


async def test_nothing_is_left_out_unless_asked_and_what_is_stays_as_facts(house, tenant):
    """A long conversation is sent whole; with a policy its beginning goes, its facts stay, and
    the next call has the same beginning."""
    secret = await house.key(tenant)
    messages = long_talk()
    plain = await ask(house, secret, messages)
    assert len(house.upstream.seen[-1].body["messages"]) == len(messages)
    assert not plain.summary.HasField("shaping")
    context = pb.ContextOptions(policy=pb.CONTEXT_POLICY_WINDOW_WITH_FACTS, budget_tokens=2000)
    first = await ask(house, secret, messages, context=context, session="s1")
    assert first.summary.source == pb.ANSWER_SOURCE_PROVIDER, "no answer to another prompt"
    sent = house.upstream.seen[-1].body["messages"]
    assert len(sent) < len(messages) / 2
    assert sent[0]["content"] == "Be brief."
    assert sent[1]["content"].startswith("Facts from earlier")
    assert sent[-1]["content"] == "And the first one?"
    shaping = first.summary.shaping
    assert shaping.messages_cut == len(messages) - (len(sent) - 1)
    assert "tokens" in shaping.decision
    more = [*messages, say(chat_pb2.ROLE_ASSISTANT, "Yes."), say(chat_pb2.ROLE_USER, "Thanks.")]
    await ask(house, secret, more, context=context, session="s1")
    assert house.upstream.seen[-1].body["messages"][: len(sent)] == sent


async def test_a_summary_is_a_request_of_its_own_on_the_same_session(house, tenant):
    """The cheap model is asked once a cut; its call is booked, and its words stand for the cut."""
    secret = await house.key(tenant)
    await house.budget(tenant, "all", 10**9)
    messages = long_talk()
    context = pb.ContextOptions(
        policy=pb.CONTEXT_POLICY_SUMMARY, budget_tokens=2000, summary_model="cheap"
    )
    summary = (await ask(house, secret, messages, context=context, session="s2")).summary
    sent = house.upstream.seen[-1].body["messages"]
    asked = house.upstream.seen[-2]
    assert asked.model == "gpt-4o-mini"
    assert "A-077" in json.dumps(asked.body["messages"])
    assert sent[1]["content"].startswith("From earlier in this conversation: ")
    entries = await house.entries(tenant)
    by_model = {entry.attempt.model_used: entry for entry in entries}
    assert set(by_model) == {"cheap", "strong"}
    written = by_model["cheap"]
    assert written.attribution.session == "s2"
    assert written.attribution.tags["spendgate.call"] == "summary"
    assert written.attempt.trace_id == summary.trace_id
    assert written.cost_nanos == summary.shaping.summary_cost_nanos > 0
    settled, reserved = await house.spent(tenant, "all")
    assert (settled, reserved) == (summary.cost_nanos + written.cost_nanos, 0)
    more = [*messages, say(chat_pb2.ROLE_ASSISTANT, "Yes."), say(chat_pb2.ROLE_USER, "Thanks.")]
    again = (await ask(house, secret, more, context=context, session="s2")).summary
    assert house.upstream.seen[-1].body["messages"][: len(sent)] == sent
    assert again.shaping.summary_cost_nanos == 0


async def test_without_its_model_a_summary_is_the_tokenizers_own(house, tenant):
    """A summary that fails costs the request nothing but the better words."""
    secret = await house.key(tenant)
    context = pb.ContextOptions(
        policy=pb.CONTEXT_POLICY_SUMMARY, budget_tokens=2000, summary_model="fail-400"
    )
    answer = await ask(house, secret, long_talk(), context=context)
    assert answer.choices
    sent = house.upstream.seen[-1].body["messages"]
    assert "A-" in sent[1]["content"]
    assert answer.summary.shaping.summary_cost_nanos == 0


async def test_compression_is_tested_and_its_calls_are_booked(house, tenant):
    """Lossless compression of nothing passes; each call is an entry; bad wishes are refused."""
    secret = await house.key(tenant)
    level = pb.CompressionOptions(level=pb.COMPRESSION_LEVEL_LOSSLESS)
    request = pb.TestCompressionRequest(
        model="strong",
        prompts=[prompt_of("What is a canary?"), chat_pb2.Prompt(messages=with_a_result())],
        options=pb.RequestOptions(compression=level, feature="trial"),
    )
    found = await house.gateway.TestCompression(request, timeout=60, metadata=bearer(secret))
    assert found.passed
    assert found.threshold_permille == 850
    assert len(found.trials) == 2
    assert found.trials[0].relative_permille == found.trials[0].yardstick_permille == 1000
    assert found.trials[1].sent_tokens < found.trials[1].original_tokens
    entries = await house.entries(tenant)
    assert len(entries) == 8
    assert sum(entry.cost_nanos for entry in entries) == found.cost_nanos > 0
    assert {entry.attribution.feature for entry in entries} == {"trial"}
    assert found.saved_nanos == sum(saved_by_compression(entry.savings) for entry in entries) > 0
    request.options.compression.level = pb.COMPRESSION_LEVEL_OFF
    with pytest.raises(Exception, match="INVALID_ARGUMENT"):
        await house.gateway.TestCompression(request, timeout=60, metadata=bearer(secret))


async def test_the_command_line_tests_compression_too(house, tenant, tmp_path):
    """A verdict with its numbers, exit code 0 or 1; a bad file is told before anything is asked."""
    secret = await house.key(tenant)
    prompts = tmp_path / "prompts.jsonl"
    rows = [{"role": "tool", "tool_call_id": "1", "content": RESULT}]
    prompts.write_text(json.dumps("What is a canary?") + "\n" + json.dumps({"messages": rows}))
    code, said = await spendgate(house, secret, str(prompts), "--level", "lossless", "--json")
    told = json.loads(said)
    assert code == (0 if told["passed"] else 1)
    assert len(told["trials"]) == 2
    assert len(await house.entries(tenant)) == 8
    code, said = await spendgate(house, secret, str(prompts), "--threshold", "0.001")
    assert code == 0
    assert "passed" in said
    assert "0.001 wanted" in said
    prompts.write_text("{}")
    code, said = await spendgate(house, secret, str(prompts))
    assert (code, "line 1" in said) == (2, True)


async def spendgate(house, secret, *arguments):
    """(exit code, what it said) of `spendgate compression test`."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "cli.main", "compression", "test", *arguments, "--model", "strong"),
        env={**os.environ, "SPENDGATE_GATEWAY": house.address("gateway"), "SPENDGATE_KEY": secret},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    return process.returncode, said.decode()
