import pytest

from services.cache.semantic.guards import depends_on_owner, read, refusal


def refused(a: str, b: str) -> str | None:
    """The guard that refuses, the same both ways round."""
    there, back = refusal(read(a), read(b)), refusal(read(b), read(a))
    assert (there is None) == (back is None), (there, back)
    return there


@pytest.mark.parametrize(
    ("guard", "a", "b"),
    [
        ("versions", "How do I install Python 3.1?", "How do I install Python 3.10?"),
        ("numbers", "Who won the cup in 2014?", "Who won the cup in 2018?"),
        ("numbers", "List three ideas", "List four ideas"),
        ("numbers", "What caused World War I?", "What caused World War II?"),
        ("ids", "Where is order ZX-88?", "Where is order ZX-89?"),
        ("dates", "Are you open on Monday?", "Are you open on Tuesday?"),
        ("dates", "What did we sell last year?", "What did we sell this year?"),
        ("units", "How far is it in miles?", "How far is it in kilometers?"),
        ("units", "Set a 5 second timeout", "Set a 5 minute timeout"),
        ("names", "What is the capital of France?", "What is the capital of Germany?"),
        ("names", "who rules france", "who rules spain"),
        ("names", "What did Anna say?", "What did she say?"),
        ("quoted", "Translate 'cat'", "Translate 'dog'"),
        ("code", "What does `read_csv` do?", "What does `to_csv` do?"),
        ("code", "What is --force for?", "What is --quiet for?"),
        ("scope", "Which phone is best?", "Which is the latest phone?"),
        ("negation", "Can I return it?", "Can I not return it?"),
        ("negation", "Foods with sugar", "Foods without sugar"),
        ("opposites", "How do I enable sync?", "How do I disable sync?"),
        ("opposites", "How do I subscribe?", "How do I unsubscribe?"),
        ("opposites", "cheapest way to travel", "most expensive way to travel"),
        ("lists", "Write a poem about rain", "Write an essay about rain"),
        ("question", "When was he born?", "Where was he born?"),
        ("question", "How many does it have?", "How long does it have?"),
        ("order", "flights from madrid to lisbon", "flights from lisbon to madrid"),
        ("order", "convert tea to coffee", "convert coffee to tea"),
        ("order", "Do lions eat zebras?", "Do zebras eat lions?"),
        ("order", "Forward mail from slack to teams", "Forwarding teams mail to slack"),
        ("order", "30 stone in ounces", "convert 30 ounces to stone"),
        ("order", "What is 50 minus 2?", "What is 2 minus 50?"),
        ("comparison", "Is Oslo bigger than Bern?", "Is Oslo as big as Bern?"),
        ("question", "What is his date of birth?", "Where was he born?"),
        ("question", "Why does it work?", "How does it work?"),
        ("order", "Is tea better than juice?", "Is juice better than tea?"),
        ("order", "Are lions eaten by zebras?", "Do lions eat zebras?"),
        ("order", "What rises before bread bakes?", "What bakes before bread rises?"),
    ],
)
def test_a_guard_refuses_what_it_is_for(guard: str, a: str, b: str) -> None:
    """A single change of meaning is refused, under the guard's own name."""
    assert refused(a, b) == guard


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("What is the capital of France?", "What's the capital city of France?"),
        ("What is the capital of France?", "Tell me France's capital"),
        ("flights from madrid to lisbon", "flights to lisbon from madrid"),
        ("compare tea with coffee", "compare coffee with tea"),
        ("difference between short circuit and open circuit",
         "difference between open circuit and short circuit"),
        ("Which is better, React or Vue?", "Which is better, Vue or React?"),
        ("Do lions eat zebras?", "Are zebras eaten by lions?"),
        ("who plays the short cop in will and grace", "in will and grace, who plays the short cop"),
        ("How do I get 5 miles in km?", "5 mi to kilometers"),
        ("How many people live in the United States?", "How many people live in the US?"),
        ("I do not know how to pay", "how to pay"),
        ("My card isn't working", "My card is broken"),
        ("When will it arrive?", "How long until it arrives?"),
        ("How do I learn piano quickly?", "How do I quickly learn piano?"),
        ("one mile in feet", "1 mile in feet"),
        ("I have 1,000 euros", "I have 1000 euros"),
        ("The site is inside", "The side is inside"),
    ],
)  # fmt: skip
def test_the_same_question_in_other_words_passes(a: str, b: str) -> None:
    """Rewordings, harmless reorderings and other spellings of a number are no reason to refuse."""
    assert refused(a, b) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Where is my order?", True),
        ("What is open now?", True),
        ("Who leads today?", True),
        ("What is right now in law?", True),
        ("What is the capital of France?", False),
        ("How do I pay?", False),
    ],
)
def test_who_asks_and_when(text: str, expected: bool) -> None:
    """ "My" and "now" make an answer one person's, or one moment's."""
    assert depends_on_owner(read(text)) is expected


@pytest.mark.parametrize(
    "text", ["", " ", "?", "'", "-", "''' `", "\U0001f642", "a" * 5_000, "1" * 5_000]
)
def test_any_text_can_be_read(text: str) -> None:
    """Nothing that a user types makes a guard fail."""
    assert refused(text, text) is None
    refused(text, "What is the capital of France?")
