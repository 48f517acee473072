import random
import statistics
from collections.abc import Callable, Sequence

import pytest
from spendgate.chat.v1 import chat_pb2 as chat
from spendgate.tokenizer.v1 import tokenizer_service_pb2 as pb

from services.tokenizer.context.convert import prepared_of
from services.tokenizer.context.known import Conversations
from services.tokenizer.convert import counted_of
from services.tokenizer.estimate import FixedRatios, Ratios, Script
from services.tokenizer.learn.correct import corrected
from services.tokenizer.learn.learned import MODELS_MAX, PAIRS_MAX, LearnedRatios
from services.tokenizer.learn.pair import Verdict
from services.tokenizer.memo import Memo
from services.tokenizer.meter import Meter, Tally
from services.tokenizer.models import Model, model_of
from services.tokenizer.prepare import prepare
from services.tokenizer.vocabulary import Vocabularies

CLAUDE = model_of("claude-sonnet-4-6")
TABLE = FixedRatios()
Report = Callable[[Sequence[int], float], int]


def prior(model: Model, script: Script) -> int:
    assert model.family is not None
    return TABLE.ratio(model.name, model.family, script).permille


def ratio_of(ratios: LearnedRatios, script: Script = Script.LATIN, model: Model = CLAUDE) -> int:
    assert model.family is not None
    return ratios.ratio(model.name, model.family, script).permille


def bound_of(ratios: LearnedRatios, script: Script = Script.LATIN, model: Model = CLAUDE) -> int:
    assert model.family is not None
    return ratios.ratio(model.name, model.family, script).bound_permille


def truth(counted: Sequence[int], drift: float, model: Model = CLAUDE) -> float:
    """What a model reads whose texts are `drift` times what the table says."""
    texts = sum(
        tokens * prior(model, script) / 1000
        for tokens, script in zip(counted, Script, strict=False)
    )
    return texts * drift + sum(counted[3:])


class Calls:
    """Simulated calls: mixed lengths, a tenth in Chinese, noise of 2 %, a share of nonsense."""

    def __init__(self, ratios: LearnedRatios, seed: int = 1, nonsense: float = 0.0) -> None:
        self._ratios = ratios
        self._chance = random.Random(seed)
        self._nonsense = nonsense
        self._number = seed * 10**6

    def counted(self) -> tuple[int, ...]:
        tokens = round(self._chance.lognormvariate(6, 1)) + 20
        cjk = self._chance.random() < 0.1
        messages = self._chance.randint(1, 12)
        return (0 if cjk else tokens, tokens if cjk else 0, tokens // 50, 0, 4 + 2 * messages, 0)

    def run(self, count: int, drift: float) -> list[Verdict]:
        verdicts = []
        for _ in range(count):
            counted = self.counted()
            reported = round(truth(counted, drift) * self._chance.gauss(1, 0.02))
            if self._chance.random() < self._nonsense:
                reported = self._chance.choice([1, reported // 4, reported * 3, 10**9])
            self._number += 1
            verdicts.append(
                self._ratios.take(CLAUDE, f"request-{self._number}", counted, max(1, reported))
            )
            self._ratios.refit()
        return verdicts

    def median_error(self, drift: float) -> float:
        """Of the texts of a hundred more prompts."""
        errors = []
        for _ in range(100):
            counted = self.counted()
            given = sum(
                tokens * ratio_of(self._ratios, script) / 1000
                for tokens, script in zip(counted, Script, strict=False)
            )
            wanted = truth((*counted[:3], 0, 0), drift)
            errors.append(abs(given - wanted) / wanted)
        return statistics.median(errors)


@pytest.mark.parametrize("nonsense", [0.0, 0.2])
@pytest.mark.parametrize("drift", [1.3, 0.75])
def test_200_calls_teach_a_models_own_ratio(drift: float, nonsense: float) -> None:
    """The table is off by the drift; after 200 calls the median error is under 2 %, though one
    report in five is nonsense."""
    ratios = LearnedRatios()
    calls = Calls(ratios, nonsense=nonsense)
    assert calls.median_error(drift) > 0.2
    calls.run(200, drift)
    assert calls.median_error(drift) < 0.02


@pytest.mark.parametrize("nonsense", [0.0, 0.2])
def test_a_tokenizer_that_changes_is_learned_anew(nonsense: float) -> None:
    """A vendor changes the tokenizer under the same name: 200 calls later the error is gone."""
    ratios = LearnedRatios()
    calls = Calls(ratios, nonsense=nonsense)
    calls.run(300, 1.0)
    calls.run(200, 1.3)
    assert calls.median_error(1.3) < 0.02


def test_the_bound_narrows_with_evidence_and_holds() -> None:
    """More calls, a smaller bound; 19 of 20 calls keep to it, or nearly; a script that no call
    was in keeps the table's."""
    ratios = LearnedRatios()
    calls = Calls(ratios)
    bounds = [bound_of(ratios)]
    for more in (8, 24, 168):
        calls.run(more, 1.3)
        bounds.append(bound_of(ratios))
    assert bounds == sorted(bounds, reverse=True)
    assert bounds[0] == 150
    assert 40 <= bounds[-1] <= 80
    assert bound_of(LearnedRatios(), Script.OTHER) == 300
    only_latin = LearnedRatios()
    for number in range(50):
        only_latin.take(CLAUDE, str(number), (1000, 0, 0, 0, 8, 0), 1570)
    only_latin.refit()
    assert bound_of(only_latin, Script.CJK) == 250
    assert ratio_of(only_latin, Script.CJK) == prior(CLAUDE, Script.CJK)
    assert bound_of(only_latin) < 100


def test_too_few_calls_change_nothing() -> None:
    """Four calls are an anecdote."""
    ratios = LearnedRatios()
    Calls(ratios).run(4, 1.3)
    assert (ratio_of(ratios), ratios.calls(CLAUDE.name)) == (1200, 0)
    assert ratios.generation(CLAUDE.name) == 0


@pytest.mark.parametrize(
    ("counted", "reported"),
    [
        ((1000, 0, 0, 0, 8, 0), 1),
        ((1000, 0, 0, 0, 8, 0), 200),
        ((1000, 0, 0, 0, 8, 0), 10_000),
        ((1000, 0, 0, 0, 8, 500), 1700),
        ((4, 0, 0, 0, 4, 0), 9),
        ((0, 0, 0, 0, 0, 0), 9),
        ((0, 0, 0, 0, 0, 900), 900),
    ],
    ids=["one", "too few", "too many", "pictures", "short", "nothing", "only pictures"],
)
def test_reports_that_say_nothing_are_ignored(counted: tuple[int, ...], reported: int) -> None:
    """Absurd numbers, pictures, and prompts too short to tell teach nothing."""
    ratios = LearnedRatios()
    for number in range(20):
        assert ratios.take(CLAUDE, str(number), counted, reported) is Verdict.IGNORED
    ratios.refit()
    assert ratios.calls(CLAUDE.name) == 0


def test_a_request_teaches_once() -> None:
    """A report that is sent again is told from a new one, for each model by itself."""
    ratios = LearnedRatios()
    counted = (1000, 0, 0, 0, 8, 0)
    other = model_of("gemini-2.5-pro")
    assert ratios.take(CLAUDE, "r1", counted, 1500) is Verdict.TAKEN
    assert ratios.take(CLAUDE, "r1", counted, 1500) is Verdict.REPEATED
    assert ratios.take(other, "r1", counted, 1500) is Verdict.TAKEN


def test_an_exact_model_has_nothing_to_learn() -> None:
    """A model with a public vocabulary stays exact whatever is reported."""
    ratios = LearnedRatios()
    assert ratios.take(model_of("gpt-4o"), "r", (1000, 0, 0, 0, 8, 0), 2000) is Verdict.EXACT


def test_tools_and_the_chat_format_are_learned_apart() -> None:
    """Tools at twice their price and a hidden preamble do not bend the ratio of texts."""
    ratios = LearnedRatios()
    chance = random.Random(5)
    for number in range(200):
        latin, tools = chance.randint(50, 3000), chance.choice([0, 0, 150, 600])
        overhead = 4 + 2 * chance.randint(1, 20)
        tools_cost = tools * prior(CLAUDE, Script.LATIN) / 1000 * 2
        reported = latin * 1.2 + tools_cost + overhead * 1.5 + 20
        ratios.take(CLAUDE, str(number), (latin, 0, 0, tools, overhead, 0), round(reported))
        ratios.refit()
    fixes = ratios.fixes(CLAUDE.name)
    assert ratio_of(ratios) == pytest.approx(1200, rel=0.01)
    assert fixes.tools_permille == pytest.approx(2000, rel=0.03)
    assert fixes.overhead_permille == pytest.approx(1500, rel=0.1)
    assert fixes.extra_millis == pytest.approx(20_000, rel=0.2)


def test_memory_is_bounded() -> None:
    """A model keeps its newest calls, and the models not heard of for longest make room."""
    ratios = LearnedRatios()
    Calls(ratios).run(10 * PAIRS_MAX, 1.1)
    ((_, pairs),) = ratios.changed(every=True).values()
    assert len(pairs) <= 3 * PAIRS_MAX
    for number in range(MODELS_MAX):
        ratios.take(model_of(f"my-model-{number}"), "r", (1000, 0, 0, 0, 8, 0), 1300)
    assert ratios.forgotten() == {CLAUDE.name}
    assert ratio_of(ratios) == 1200


def test_ratios_that_hardly_move_stay() -> None:
    """Another generation makes the memo count again, so there is one only for a reason."""
    ratios = LearnedRatios()
    calls = Calls(ratios)
    calls.run(150, 1.3)
    before = ratios.generation(CLAUDE.name)
    calls.run(150, 1.3)
    assert 0 < ratios.generation(CLAUDE.name) - before <= 8


def test_what_is_learned_of_tools_and_format_is_in_a_prompts_count(
    vocabularies: Vocabularies,
) -> None:
    """A vendor with dearer tools and a hidden preamble: the count is right as a whole, its
    segments sum, and with tools the bound is narrower than the table's."""
    tool = chat.Tool(name="find_order", description="Finds an order by its number. " * 10)
    chance = random.Random(2)

    def prompt() -> chat.Prompt:
        said = "Where is my parcel, and when will it come? " * chance.randint(1, 30)
        message = chat.Message(role=chat.ROLE_USER, content=said)
        return chat.Prompt(messages=[message], tools=[tool] * chance.choice([0, 1, 3]))

    def counted(asked: chat.Prompt, ratios: Ratios) -> pb.Prepared:
        meter = Meter(CLAUDE, vocabularies[CLAUDE.encoding], ratios)
        return prepared_of(CLAUDE, corrected(prepare(asked, meter), meter))

    def true_tokens(before: pb.Prepared) -> int:
        return before.input.tokens + before.segments.tools_tokens // 2 + 60

    ratios = LearnedRatios()
    for number in range(60):
        before = counted(prompt(), TABLE)
        ratios.take(CLAUDE, str(number), counted_of(before.parts), true_tokens(before))
        ratios.refit()
    for _ in range(20):
        asked = prompt()
        before, after = counted(asked, TABLE), counted(asked, ratios)
        assert after.input.tokens == pytest.approx(true_tokens(before), rel=0.02)
        assert after.input.tokens == sum(value for _, value in after.segments.ListFields())
        if asked.tools:
            assert after.input.error_bound_permille < before.input.error_bound_permille
        assert after.parts == before.parts


def test_a_known_conversation_is_counted_by_the_newest_ratios(vocabularies: Vocabularies) -> None:
    """Known from calls before, to memo and conversations both: once there are new ratios it is
    counted as one never seen, and again the same in the calls after."""
    vocabulary, known = vocabularies[CLAUDE.encoding], Conversations(1000, bytes(32))
    ratios, memo = LearnedRatios(), Memo[Tally](1000, bytes(32))
    said = [
        chat.Message(role=role, content=f"Where is parcel {number}, and when will it come? " * 9)
        for number, role in enumerate((chat.ROLE_USER, chat.ROLE_ASSISTANT) * 4)
    ]
    tool = chat.Tool(name="find_order", description="Finds an order by its number. " * 10)

    def counted(messages: int, *, fresh: bool = False) -> pb.Prepared:
        meter = Meter(CLAUDE, vocabulary, ratios, memo=None if fresh else memo)
        asked = chat.Prompt(messages=said[:messages], tools=[tool])
        done = prepare(asked, meter, known=None if fresh else known)
        return prepared_of(CLAUDE, corrected(done, meter))

    counted(5)
    before = counted(7)
    assert before == counted(7, fresh=True)
    for number in range(30):
        reported = before.input.tokens * 13 // 10
        ratios.take(CLAUDE, str(number), counted_of(before.parts), reported)
    ratios.refit()
    assert ratios.generation(CLAUDE.name) == 1
    after = counted(7)
    assert after.input.tokens == pytest.approx(before.input.tokens * 1.3, rel=0.05)
    assert after.input.ratio_source == pb.RATIO_SOURCE_LEARNED
    assert after.parts == before.parts
    assert after == counted(7, fresh=True) == counted(7)
    assert counted(8) == counted(8, fresh=True)
