"""Wishes, what they are turned into, and the arithmetic of what they saved."""

from pathlib import Path

import pytest
from spendgate.chat.v1 import chat_pb2
from spendgate.gateway.v1 import gateway_service_pb2 as pb
from spendgate.tokenizer.v1 import tokenizer_service_pb2 as tokenizer_pb

from catalog.config import ConfigError, parse_config
from catalog.prompts import PromptPolicy
from chassis.errors import InvalidFields
from gateway.saga.shaping import sent_prompt, unshaped_usage
from gateway.saga.wishes import wishes_of
from tests.fakes.saga_house import FLEET_FILE

LOSSLESS = PromptPolicy()


def prepared(given, sent, decision=tokenizer_pb.CONTEXT_DECISION_UNSPECIFIED, cut=0):
    """Segments as (system, history, new); what is given and what is sent."""
    keys = ("system_tokens", "history_tokens", "new_tokens")
    return tokenizer_pb.Prepared(
        input=tokenizer_pb.TokenCount(tokens=sum(sent)),
        segments=tokenizer_pb.Segments(**dict(zip(keys, sent, strict=True))),
        original_segments=tokenizer_pb.Segments(**dict(zip(keys, given, strict=True))),
        edits=tokenizer_pb.Edits(cut_from_message=cut),
        decision=decision,
    )


@pytest.mark.parametrize(
    ("case", "usage", "whole"),
    [
        # No cache: all that was removed would have been read at the full price.
        (prepared((100, 500, 200), (100, 300, 100)), (500, 0, 0), (800, 0, 0)),
        # The provider had the beginning: what was removed from it would have been there too.
        (prepared((100, 500, 200), (100, 300, 100)), (100, 400, 0), (200, 600, 0)),
        # It bills writes: what was removed from the new part would have been written.
        (prepared((100, 500, 200), (100, 300, 100)), (0, 400, 100), (0, 600, 200)),
        # It reads twice as many tokens as were counted.
        (prepared((100, 500, 200), (100, 300, 100)), (1000, 0, 0), (1600, 0, 0)),
        # The call that cuts: without the cut, all before would have been in the cache.
        (
            prepared((100, 900, 50), (100, 300, 50), tokenizer_pb.CONTEXT_DECISION_CUT_BUDGET, 9),
            (450, 0, 0),
            (50, 1000, 0),
        ),
        # A cut for a cold cache: there was nothing to spare.
        (
            prepared(
                (100, 900, 50), (100, 300, 50), tokenizer_pb.CONTEXT_DECISION_CUT_COLD_CACHE, 9
            ),
            (450, 0, 0),
            (1050, 0, 0),
        ),
    ],
)
def test_what_a_prompt_would_have_used_as_it_came(case, usage, whole):
    """(full price, cached, written): each token where it would have been."""
    keys = ("input_tokens", "cached_input_tokens", "cache_write_tokens")
    used = chat_pb2.TokenUsage(output_tokens=7, **dict(zip(keys, usage, strict=True)))
    found = unshaped_usage(case, used)
    assert tuple(getattr(found, key) for key in keys) == whole
    assert found.output_tokens == 7


def test_a_prompt_sent_as_it_came_has_no_other_cost():
    """No edits, no step back."""
    used = chat_pb2.TokenUsage(input_tokens=5)
    assert unshaped_usage(tokenizer_pb.Prepared(), used) is None


def test_edits_are_made_on_a_copy():
    """Contents first, then the cut; instructions stay, the memory comes after them."""
    roles = (chat_pb2.ROLE_SYSTEM, chat_pb2.ROLE_USER, chat_pb2.ROLE_ASSISTANT, chat_pb2.ROLE_USER)
    prompt = chat_pb2.Prompt(
        messages=[chat_pb2.Message(role=r, content=str(n)) for n, r in enumerate(roles)],
        sampling=chat_pb2.Sampling(temperature=1),
    )
    edits = tokenizer_pb.Edits(cut_from_message=3, memory="facts")
    edits.contents.add(message=3, content="three")
    sent = sent_prompt(prompt, edits)
    assert [message.content for message in sent.messages] == ["0", "facts", "three"]
    assert sent.messages[1].role == chat_pb2.ROLE_SYSTEM
    assert sent.sampling == prompt.sampling
    assert [message.content for message in prompt.messages] == ["0", "1", "2", "3"]


def test_by_default_tool_results_lose_their_blanks_and_nothing_is_cut():
    """JSON, blanks and repeats; no stub, no cut, answers shared under the model's own name."""
    wishes = wishes_of(pb.RequestOptions(), LOSSLESS)
    assert list(wishes.compress_options().rules) == [
        tokenizer_pb.COMPRESS_RULE_JSON,
        tokenizer_pb.COMPRESS_RULE_WHITESPACE,
        tokenizer_pb.COMPRESS_RULE_DUPLICATES,
    ]
    assert not wishes.compress_options().instructions
    assert wishes.fit_options() is None
    assert wishes.cached_as("gpt") == "gpt"


def test_lossy_wishes_have_answers_of_their_own():
    """Each differs from the rest and from the model's name, and fits the cache's limit."""
    names = {"gpt"}
    asked = [pb.RequestOptions(compression=pb.CompressionOptions(level=n)) for n in (3, 4, 5)]
    asked += [pb.RequestOptions(context=pb.ContextOptions(policy=n)) for n in range(2, 7)]
    for options in asked:
        name = wishes_of(options, LOSSLESS).cached_as("gpt")
        assert len(name) <= 256
        names.add(name)
    assert len(names) == len(asked) + 1


async def test_the_caller_wins_over_the_feature_and_that_over_the_file(make_house):
    """What reaches the tokenizer."""
    house = make_house(
        "prompts: {compression: 'off', features: {bot: {context: auto, budget_tokens: 500}}}\n"
    )
    await house.complete("1")
    await house.complete("2", feature="bot", model="cheap", session="s")
    await house.complete(
        "3",
        feature="bot",
        context=pb.ContextOptions(policy=pb.CONTEXT_POLICY_ALL),
        compression=pb.CompressionOptions(level=pb.COMPRESSION_LEVEL_EXTRACT, keep_percent=30),
    )
    plain, fitted, extracted = house.services.asked["prepare"]
    assert not plain.HasField("compress")
    assert not plain.HasField("fit")
    assert fitted.fit.policy == tokenizer_pb.CONTEXT_POLICY_AUTO
    assert fitted.fit.budget_tokens == 500
    assert fitted.fit.price.input_picos == 1_000_000
    assert fitted.scope == "acme\ns"
    assert not extracted.HasField("fit")
    assert extracted.compress.keep_permille == 300
    await house.books.drain()


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"compression": {"level": 9}}, "compression.level"),
        ({"compression": {"keep_percent": 100}}, "compression.keep_percent"),
        ({"context": {"policy": 9}}, "context.policy"),
        ({"context": {"budget_tokens": -1}}, "context.budget_tokens"),
        ({"context": {"expected_rest_turns": -1}}, "context.expected_rest_turns"),
        ({"context": {"summary_model": "x" * 257}}, "context.summary_model"),
    ],
)
async def test_what_is_out_of_range_is_refused(make_house, options, field):
    """REQUEST_INVALID names the field; nobody is asked."""
    house = make_house()
    with pytest.raises(InvalidFields) as refused:
        await house.complete("x", **options)
    assert [each.field for each in refused.value.violations] == [f"options.{field}"]
    assert not house.services.asked["prepare"]


def test_a_summary_model_must_be_configured():
    """The fleet file is refused with the place."""
    with pytest.raises(ConfigError) as refused:
        parse_config(FLEET_FILE + "prompts: {summary_model: cheep}\n", str(Path("fleet.yaml")))
    assert "prompts.summary_model" in refused.value.problems[0]
    assert "cheap" in refused.value.problems[0]
