"""The name of a prompt's meaning."""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from hypothesis import given
from hypothesis import strategies as st
from spendgate.chat.v1 import chat_pb2

from services.cache.fingerprint import canonical_json, fingerprint, is_cacheable, place, scope_tag
from services.cache.prose import CaseFolding

Make = Callable[..., chat_pb2.Prompt]

GOLDEN = "00f51613d0aec87f0d8f4693280fe4789dae106672d584fe31afb5febbb696ed"


def name(prompt: chat_pb2.Prompt, model: str = "m", folding: CaseFolding = CaseFolding.SAFE) -> str:
    return fingerprint(model, prompt, folding)


def test_it_is_64_hex_digits(prompt: Make) -> None:
    """The fingerprint has the shape that the contract promises."""
    assert len(name(prompt())) == 64
    assert set(name(prompt())) <= set("0123456789abcdef")


def test_it_is_the_same_tomorrow(prompt: Make) -> None:
    """A change of the rules must change RULES too: this value may only move together with it."""
    assert name(prompt()) == GOLDEN


def test_the_prompt_is_left_as_it_was(prompt: Make) -> None:
    """Naming a prompt does not change it."""
    asked = prompt("  what IS it? \r\n")
    before = asked.SerializeToString()
    name(asked)
    assert asked.SerializeToString() == before


def test_model_and_folding_are_part_of_it(prompt: Make) -> None:
    """Another model, or another rule of folding, is another name."""
    names = {
        name(prompt()),
        name(prompt(), model="m2"),
        name(prompt(), folding=CaseFolding.OFF),
        name(prompt(), folding=CaseFolding.ALL),
    }
    assert len(names) == 4


def test_only_the_last_user_message_is_folded(prompt: Make) -> None:
    """Case counts in history and system prompt."""

    def asked(system: str, first: str) -> chat_pb2.Prompt:
        made = chat_pb2.Prompt()
        made.messages.add(role=chat_pb2.ROLE_SYSTEM, content=system)
        made.messages.add(role=chat_pb2.ROLE_USER, content=first)
        made.messages.add(role=chat_pb2.ROLE_ASSISTANT, content="Yes.")
        made.messages.add(role=chat_pb2.ROLE_USER, content="What about June?")
        return made

    base = name(asked("You are kind.", "Is it open today?"))
    assert name(asked("you are kind.", "Is it open today?")) != base
    assert name(asked("You are kind.", "is it open today?")) != base
    assert name(asked(" You are kind.\r\n", "Is it open today? ")) == base


def test_texts_of_assistant_and_tool_stay_to_the_byte(prompt: Make) -> None:
    """What a model or a tool wrote is data: white space counts."""
    for role in (chat_pb2.ROLE_ASSISTANT, chat_pb2.ROLE_TOOL):
        one, other = prompt(), prompt()
        one.messages.insert(0, chat_pb2.Message(role=role, content="a"))
        other.messages.insert(0, chat_pb2.Message(role=role, content="a "))
        assert name(one) != name(other)


def test_one_text_part_is_plain_content(prompt: Make) -> None:
    """The two ways to write one text are one; a picture beside it is another prompt."""
    whole, parted = prompt(), prompt()
    text = parted.messages[1].content
    parted.messages[1].ClearField("content")
    parted.messages[1].parts.add(text=text)
    assert name(whole) == name(parted)
    parted.messages[1].parts.add(image=chat_pb2.Image(url="https://example.org/a.png"))
    assert name(whole) != name(parted)


def test_json_means_what_it_means(prompt: Make) -> None:
    """Key order and white space in schemas do not count, values do."""

    def asked(schema: str) -> chat_pb2.Prompt:
        made = prompt(response_format_json=schema, extra_json=schema, tool_choice_json=schema)
        made.tools.add(name="t", parameters_json=schema)
        return made

    base = name(asked('{"a": 1, "b": [true, null]}'))
    assert name(asked('{"b":[true,null],"a":1}')) == base
    assert name(asked('{"b":[null,true],"a":1}')) != base
    assert name(asked('{"a": 1, "b": [true, false]}')) != base


def test_plain_defaults_are_absent_settings(prompt: Make) -> None:
    """One choice is the default; an empty group of settings is none; stops have no order."""
    base = name(prompt())
    assert name(prompt(sampling=chat_pb2.Sampling())) == base
    assert name(prompt(sampling=chat_pb2.Sampling(choice_count=1))) == base
    assert name(prompt(sampling=chat_pb2.Sampling(temperature=0))) != base
    both = [
        name(prompt(sampling=chat_pb2.Sampling(stop=stop))) for stop in (["a", "b"], ["b", "a"])
    ]
    assert both[0] == both[1] != base


def test_every_field_of_the_contract_counts(prompt: Make) -> None:
    """Setting or changing any field of a prompt, at any depth, gives another name."""
    full = _filled(chat_pb2.Prompt())
    seen = {name(full)}
    count = 0
    for changed in _changes(full):
        count += 1
        assert name(changed) not in seen
        seen.add(name(changed))
    assert count >= 34


def test_a_field_this_program_does_not_know_counts(prompt: Make) -> None:
    """A newer gateway's fields part prompts, also inside messages."""
    unknown = b"\xda\x3e\x01x"  # field 1003, one byte
    base = prompt()
    outside = chat_pb2.Prompt.FromString(base.SerializeToString() + unknown)
    inside = prompt()
    inside.messages[1].ParseFromString(inside.messages[1].SerializeToString() + unknown)
    in_part = prompt()
    text = in_part.messages[1].content
    in_part.messages[1].ClearField("content")
    part = in_part.messages[1].parts.add()
    part.ParseFromString(chat_pb2.ContentPart(text=text).SerializeToString() + unknown)
    assert len({name(p) for p in (base, outside, inside, in_part)}) == 4


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)


@given(JSON_VALUES, st.randoms(use_true_random=False))
def test_shuffled_keys_are_the_same_json(value: Any, random: Any) -> None:
    """However its keys are ordered and spaced, a JSON value has one canonical text."""
    import json

    def shuffled(item: Any) -> Any:
        if isinstance(item, dict):
            pairs = list(item.items())
            random.shuffle(pairs)
            return {key: shuffled(inner) for key, inner in pairs}
        return [shuffled(inner) for inner in item] if isinstance(item, list) else item

    assert canonical_json(json.dumps(value)) == canonical_json(
        json.dumps(shuffled(value), indent=1)
    )


@given(JSON_VALUES, JSON_VALUES)
def test_unequal_json_stays_unequal(one: Any, other: Any) -> None:
    """Two values with one canonical text are one value, types included."""
    import json

    if canonical_json(json.dumps(one)) == canonical_json(json.dumps(other)):
        assert json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1", '"1"'),
        ("1", "1.0"),
        ("1", "true"),
        ("null", '"null"'),
        ('"n1"', "1"),
        ('{"a":1,"a":2}', '{"a":2}'),
        ("NaN", '"NaN"'),
        ("{", "{ "),
        ("[" * 5000, "[" * 5001),
        ("9" * 5000, "9" * 5001),
    ],
)
def test_json_that_looks_alike(one: str, other: str) -> None:
    """Types, spellings of numbers, doubled keys and broken JSON stay apart."""
    assert canonical_json(one) != canonical_json(other)


def test_scopes_never_read_alike() -> None:
    """Moving letters between tenant, project and user gives another partition."""
    pieces = ["", "a", "b", "ab", "abc", "bc", "c", "a\0b", "\0", "a:b"]
    tags = {scope_tag(*names) for names in itertools.product(pieces, repeat=3)}
    assert len(tags) == len(pieces) ** 3
    assert {len(tag) for tag in tags} == {43}


def test_a_scope_lives_on_one_node() -> None:
    """The scope, and nothing else, is the key's hash tag."""
    tag = scope_tag("acme", "", "")
    assert place(tag, "f" * 64) == f"sg:{{{tag}}}:x:{'f' * 64}"


@pytest.mark.parametrize(
    ("sampling", "expected"),
    [
        (chat_pb2.Sampling(), True),
        (chat_pb2.Sampling(temperature=0.0), True),
        (chat_pb2.Sampling(temperature=0.3), True),
        (chat_pb2.Sampling(temperature=0.31), False),
        (chat_pb2.Sampling(temperature=float("nan")), False),
        (chat_pb2.Sampling(choice_count=4), True),
    ],
)
def test_variety_is_not_cached(sampling: chat_pb2.Sampling, expected: bool, prompt: Make) -> None:
    """Only a temperature above the bound says that answers should differ."""
    assert is_cacheable(prompt(sampling=sampling), 0.3) is expected


def _filled(message: Message) -> Any:
    """`message` with every field set; a list has one element, or one of each alternative."""
    for field in message.DESCRIPTOR.fields:
        if not _is_alternative(field):
            _fill(message, field)
    return message


def _fill(message: Message, field: FieldDescriptor) -> None:
    if field.message_type is None:
        if field.is_repeated:
            getattr(message, field.name).append(_value(field, 1))
        else:
            setattr(message, field.name, _value(field, 1))
    elif field.is_repeated:
        alternatives = [inner for inner in field.message_type.fields if _is_alternative(inner)]
        for alternative in alternatives or [None]:
            element = _filled(getattr(message, field.name).add())
            if alternative is not None:
                _fill(element, alternative)
    else:
        _filled(getattr(message, field.name))


def _is_alternative(field: FieldDescriptor) -> bool:
    return field.containing_oneof is not None and len(field.containing_oneof.fields) > 1


def _changes(root: chat_pb2.Prompt) -> Iterator[chat_pb2.Prompt]:
    """Copies of `root`, each with one leaf changed."""
    for path in _leaves(root, ()):
        copy = chat_pb2.Prompt()
        copy.CopyFrom(root)
        target: Any = copy
        for step in path[:-1]:
            target = target[step] if isinstance(step, int) else getattr(target, step)
        field = target.DESCRIPTOR.fields_by_name[path[-1]]
        if field.is_repeated:
            getattr(target, field.name).append(_value(field, 2))
        else:
            setattr(target, field.name, _value(field, 2))
        yield copy


def _leaves(message: Message, path: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    for field in message.DESCRIPTOR.fields:
        if field.message_type is None:
            if not _is_alternative(field) or message.HasField(field.name):
                yield (*path, field.name)
        elif field.is_repeated:
            for number, inner in enumerate(getattr(message, field.name)):
                yield from _leaves(inner, (*path, field.name, number))
        elif message.HasField(field.name):
            yield from _leaves(getattr(message, field.name), (*path, field.name))


def _value(field: FieldDescriptor, number: int) -> Any:
    kinds: dict[int, Any] = {
        FieldDescriptor.CPPTYPE_STRING: f'"{field.name}{number}"',
        FieldDescriptor.CPPTYPE_DOUBLE: 0.25 * number,
        FieldDescriptor.CPPTYPE_BOOL: number == 1,
        FieldDescriptor.CPPTYPE_ENUM: 1 + number,
    }
    value = kinds.get(field.cpp_type, 2 + number)
    return value.encode() if field.type == FieldDescriptor.TYPE_BYTES else value


def test_the_operator_may_keep_unset_temperatures_out(prompt: Make) -> None:
    """A provider's default temperature is not 0; some operators want no cached answers then."""
    assert is_cacheable(prompt(), 0.0)
    assert not is_cacheable(prompt(), 0.0, unset_temperature=False)


def test_labels_for_the_providers_books_do_not_split_the_cache(prompt: Make) -> None:
    """Who asks and where it is booked change nothing of the answer; other options do."""
    plain = fingerprint("m", prompt(), CaseFolding.SAFE)
    labels = '{"user": "u7", "prompt_cache_key": "k", "metadata": {"a": "b"}, "store": true}'
    assert fingerprint("m", prompt(extra_json=labels), CaseFolding.SAFE) == plain
    verbose = '{"user": "u7", "verbosity": "low"}'
    other = fingerprint("m", prompt(extra_json=verbose), CaseFolding.SAFE)
    assert other != plain
    assert other == fingerprint("m", prompt(extra_json='{"verbosity":"low"}'), CaseFolding.SAFE)
