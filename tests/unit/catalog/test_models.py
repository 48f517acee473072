from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from catalog.facts import fact_about, facts
from catalog.fleet import Fleet
from catalog.prices import UnknownModel
from catalog.published import Published
from catalog.schema import Capability

HEAD = """
providers:
  openai: {base_url: "https://api.openai.com/v1"}
  local: {base_url: "http://127.0.0.1:8090/v1"}
models:
"""


def test_a_known_model_needs_one_line(fleet: Callable[[str], Fleet]) -> None:
    """Window, limits and capabilities of a published model come with its name."""
    card = fleet(HEAD + "  gpt-5.4: {provider: openai, aliases: [best]}").models.card("best")
    assert card.name == card.upstream_model == "gpt-5.4"
    assert card.context_window_tokens == 1_050_000
    assert card.output_tokens_max == 128_000
    assert card.output_tokens_default == 1_024
    assert Capability.TOOLS in (card.capabilities or ())


def test_an_unknown_model_says_so(fleet: Callable[[str], Fleet]) -> None:
    """What nobody published is unknown, which is not the same as nothing."""
    card = fleet(HEAD + "  mine: {provider: local, upstream_model: /models/mine.gguf}").models.card(
        "mine"
    )
    assert card.capabilities is None
    assert card.context_window_tokens is None
    assert card.output_tokens_max is None


def test_the_operators_file_has_the_last_word(fleet: Callable[[str], Fleet]) -> None:
    """What the operator writes about a model goes before what is published."""
    card = fleet(
        HEAD + "  gpt-4o: {provider: openai, capabilities: [], context_window_tokens: 4096,"
        " output_tokens_max: 100, retire_date: 2027-01-01}"
    ).models.card("gpt-4o")
    assert card.capabilities == frozenset()
    assert card.context_window_tokens == 4096
    assert card.output_tokens_default == card.output_tokens_max == 100
    assert not card.retired(datetime(2026, 12, 31, 23, tzinfo=UTC))
    assert card.retired(datetime(2027, 1, 1, tzinfo=UTC))


def test_cards_come_by_name(fleet: Callable[[str], Fleet]) -> None:
    """All cards are listed in the order of their names; a wrong name is told with the nearest."""
    made = fleet(
        HEAD + "  b: {provider: local}\n  a: {provider: local}\n  gpt-4o: {provider: openai}"
    )
    assert [card.name for card in made.models.all()] == ["a", "b", "gpt-4o"]
    with pytest.raises(UnknownModel) as caught:
        made.models.card("gpt-4")
    assert caught.value.nearest == "gpt-4o"


def test_facts_are_about_models_that_exist(published: Published) -> None:
    """Every row names models that are published (or the embedded one), with source and day."""
    assert facts()
    for fact in facts():
        assert fact.source.startswith("https://")
        for name in fact.match:
            assert name.startswith("smollm2") or any(
                published.find(provider, name) for provider in ("openai", "anthropic", "google")
            ), name


def test_a_name_fits_one_row_only() -> None:
    """No model is described twice, and a longer name does not take a shorter one's row."""
    names = [name for fact in facts() for name in fact.match]
    assert len(names) == len(set(names))
    assert fact_about("gpt-5.4-mini") == fact_about("openai/gpt-5.4-mini")
    assert fact_about("gpt-5.4-pro") is None
