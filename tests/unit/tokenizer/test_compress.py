import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from spendgate.chat.v1 import chat_pb2 as chat

from chassis.errors import InvalidFields
from services.tokenizer.compress.compress import Options, Rule, compress
from services.tokenizer.compress.extract import extract
from services.tokenizer.compress.lossless import minify_json, squeeze_whitespace
from services.tokenizer.compress.wording import abbreviate, drop_fillers

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)
WORDS = (
    "please Please very really in order to do not just actually information , . \n ` ``` { } "
    "https://x.y/very 3.14 Very Ltd the cat kindly don't could you please"
)
PROSE = st.lists(st.sampled_from([*WORDS.split(" "), '"', '{"a": 1}', "", "  "])).map(" ".join)
REWRITES = [minify_json, squeeze_whitespace, drop_fillers, abbreviate]


@given(st.lists(VALUES) | st.dictionaries(st.text(), VALUES), st.sampled_from([None, 1, 4]))
def test_json_means_the_same_without_its_blanks(value, indent):
    """What is parsed of it is equal, and it is as short as JSON gets."""
    text = json.dumps(value, indent=indent)
    done = minify_json(text)
    assert json.loads(done) == value
    assert len(done) <= len(json.dumps(value, separators=(",", ":")))


def test_literals_of_json_stay_as_they_are():
    """Numbers keep their digits, keys that come twice stay twice."""
    assert minify_json('{"a": 1.50, "a": 1e5,\n "b c": " x "}') == '{"a":1.50,"a":1e5,"b c":" x "}'
    assert minify_json("{not json }") == "{not json }"


@settings(max_examples=300, deadline=None)
@given(st.one_of(PROSE, st.text()))
@pytest.mark.parametrize("change", REWRITES)
def test_twice_is_as_once(change, text):
    """A text that was made shorter has nothing more to give to the same rule."""
    assert change(change(text)) == change(text)


@given(PROSE, st.text(alphabet="very  please\n{}'\"x"), PROSE)
@pytest.mark.parametrize("change", REWRITES)
def test_code_is_untouched(change, before, code, after):
    """Whatever stands in a code fence stands there afterwards."""
    fence = f"```\n{code}\n```"
    text = f"{before.replace('`', '')}\n{fence}\n{after.replace('`', '')}"
    text = text.replace('"', "") if '"' not in code else text
    if text.count('"') == code.count('"') and "{" not in before + after:
        assert fence in change(text)


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("Please provide a list.", "Provide a list."),
        ("Could you please list the very big cats?", "List the big cats?"),
        ("You must do not just this but that.", "You must do not just this but that."),
        ("Do not really worry.", "Do not really worry."),
        ("Don't very carefully look.", "Don't very carefully look."),
        ("Say it in order to win.", "Say it to win."),
        ("The aim is to please customers.", None),
        ('Say "please come" and `very` and https://a.b/very/x.', None),
        ("Ask Very Ltd and Really Good Co.", None),
        ("Please Release Me is a song.", None),
        ('{"say": "please come in", "n": 1}', None),
    ],
)
def test_fillers_go_and_meaning_stays(text, left):
    """Courtesy goes; negations, quotes, code, addresses, names and JSON stay."""
    assert drop_fillers(text) == (text if left is None else left)


def test_stock_instructions_get_short():
    """The long ones of every prompt have a short form."""
    text = "You are a helpful assistant. Format your response in JSON. Keep it concise."
    assert abbreviate(text) == "Assist. Answer in JSON. Be concise."


def test_blanks_go_but_indentation_and_quotes_stay():
    """Only idle blanks are idle."""
    text = 'a  b  \n\n\n\n  - c   d "x   y"\n    code   here\n'
    assert squeeze_whitespace(text) == 'a  b\n\n  - c  d "x   y"\n    code   here\n'
    assert squeeze_whitespace("a    b  \nc") == "a b\nc"


def test_columns_stay_columns():
    """Tabs, and gaps that stand in several lines: a value with a blank stays one value."""
    table = "CITY        DAYS\nNew York    3\nRome        12\n"
    assert squeeze_whitespace(table) == "CITY  DAYS\nNew York  3\nRome  12\n"
    cells = "a\t\tb\t\n1\t\t2\t\n"
    assert squeeze_whitespace(cells) == cells


NEGATIONS = ("not", "never", "no", "don't", "cannot", "without", "nor", "hardly")
FILLERS = ("please", "very", "really", "kindly", "in order to", "as well as", "make sure to")
PLAIN = ("do", "delete", "the", "file", "send", "it", "now", "users")


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from([*NEGATIONS, *FILLERS, *PLAIN]), max_size=14))
@pytest.mark.parametrize("change", [drop_fillers, abbreviate])
def test_a_negation_keeps_its_words(change, words):
    """What is negated stays negated: each negation stays, with the words on both its sides."""
    text = " ".join(words)
    before = f"^ {text} $".lower().split()
    after = f"^ {change(text)} $".lower().split()

    def around(line):
        return [line[n - 1 : n + 2] for n, word in enumerate(line) if word in NEGATIONS]

    assert around(after) == around(before)


def test_extraction_answers_the_question():
    """The sentence that was asked about is kept, in its place, within the share."""
    text = (
        "Cats sleep all day. Dogs bark at night. The refund takes five days. Birds sing. "
        "Fish swim in water. Cows give milk."
    )
    count = lambda piece: len(piece.split())  # noqa: E731  # a ruler for a test
    kept = extract(text, 300, "How long does my refund take?", count)
    assert "refund takes five days" in kept
    assert count(kept) <= 0.3 * count(text)
    assert extract("One. Two.", 100, "", count) == "One. Two."


def conversation():
    results = [json.dumps({"id": n, "rows": list(range(200))}, indent=1) for n in range(3)]
    messages = [chat.Message(role=chat.ROLE_USER, content="Please look  it  up.")]
    for n, result in enumerate([*results, results[2]]):
        call = chat.ToolCall(id=f"c{n}", name="look", arguments_json='{"very":  1}')
        messages.append(chat.Message(role=chat.ROLE_ASSISTANT, tool_calls=[call]))
        messages.append(chat.Message(role=chat.ROLE_TOOL, tool_call_id=f"c{n}", content=result))
    return messages


def test_by_default_tool_results_alone_get_shorter(meter_for):
    """Old ones become stubs, new ones lose blanks, the one said twice is a pointer; nobody else's
    words are touched."""
    messages = conversation()
    done = compress(messages, Options(results_kept=2), meter_for("gpt-4o"))
    assert [m for m in done.messages if m.role != chat.ROLE_TOOL] == [
        m for m in messages if m.role != chat.ROLE_TOOL
    ]
    tools = [m.content for m in done.messages if m.role == chat.ROLE_TOOL]
    assert tools[0] == (
        "[left out: result of look, JSON object with 2 keys (id, rows), "
        f"{len(messages[2].content)} characters]"
    )
    assert json.loads(tools[2]) == json.loads(messages[6].content)
    assert tools[3] == f"[the same {len(tools[2])} characters as further up]"
    assert done.before.tokens - done.after.tokens == sum(each.tokens for each in done.removals)
    assert {each.rule for each in done.removals} == {
        Rule.ELIDE,
        Rule.DUPLICATES,
        Rule.JSON,
    }
    again = compress(done.messages, Options(results_kept=2), meter_for("gpt-4o"))
    assert again.messages == done.messages


def test_a_block_said_before_becomes_a_pointer(meter_for):
    """The second of two equal paragraphs goes, the first stays."""
    block = "A paragraph that is long enough to be worth a pointer. " * 4 + "So."
    messages = [chat.Message(role=chat.ROLE_USER, content=f"{block}\n\nfirst")]
    messages.append(chat.Message(role=chat.ROLE_USER, content=f"{block}\n\nsecond"))
    done = compress(messages, Options(instructions=True), meter_for("gpt-4o"))
    assert done.messages[0] == messages[0]
    assert done.messages[1].content == f"[the same {len(block)} characters as further up]\n\nsecond"


def test_what_makes_no_sense_is_refused(meter_for):
    """COMPRESSION_INVALID names the field."""
    for options, field in (
        (Options(results_kept=-1), "tool_results_kept"),
        (Options(rules=frozenset({Rule.EXTRACT})), "keep_permille"),
    ):
        with pytest.raises(InvalidFields, match="COMPRESSION_INVALID") as refused:
            compress(conversation(), options, meter_for("gpt-4o"))
        assert [each.field for each in refused.value.violations] == [field]
