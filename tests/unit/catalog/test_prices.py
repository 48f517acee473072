from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from catalog.config import ConfigError
from catalog.fleet import Fleet, load_fleet
from catalog.price import cost_nanos
from catalog.prices import UnknownModel, Unpriced
from catalog.usage import Usage

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
HEAD = """
providers:
  openai: {base_url: "https://api.openai.com/v1"}
  local: {base_url: "http://127.0.0.1:8090/v1"}
  proxy: {base_url: "https://llm.corp.example/v1", priced_as: anthropic}
models:
"""


def test_a_model_takes_the_price_of_where_it_is_served(fleet: Callable[[str], Fleet]) -> None:
    """The same upstream name is priced at OpenAI's address and unknown on one's own server."""
    made = fleet(
        HEAD + "  gpt-4o: {provider: openai}\n  own: {provider: local, upstream_model: gpt-4o}"
    )
    assert made.book.price("gpt-4o", NOW).rates.input_picos == 2_500_000
    with pytest.raises(Unpriced) as caught:
        made.book.price("own", NOW)
    assert caught.value.model == "own"
    assert "priced_as" in str(caught.value)


def test_priced_as_names_the_price_of_another(fleet: Callable[[str], Fleet]) -> None:
    """priced_as works for one model, and for all models of a provider."""
    made = fleet(
        HEAD + "  demo: {provider: local, upstream_model: x, priced_as: openai/gpt-5.4}\n"
        "  claude-haiku-4-5: {provider: proxy}"
    )
    assert made.book.price("demo", NOW).version.endswith("/ openai / gpt-5.4")
    assert made.book.price("claude-haiku-4-5", NOW).rates.output_picos == 5_000_000


def test_priced_as_must_lead_somewhere(fleet: Callable[[str], Fleet]) -> None:
    """A priced_as that the catalogue lacks is refused at the start, with the nearest names."""
    with pytest.raises(ConfigError) as caught:
        fleet(
            HEAD + "  a: {provider: local, priced_as: openai/gpt-5.44}\n"
            "  b: {provider: local, priced_as: opena/gpt-4o}"
        )
    assert caught.value.problems == [
        "models.a.priced_as: is not in the catalogue, did you mean openai/gpt-5.4?",
        "models.b.priced_as: is not in the catalogue, did you mean openai/gpt-4o?",
    ]


def test_the_operators_price_goes_before_the_catalogues(fleet: Callable[[str], Fleet]) -> None:
    """A negotiated price replaces the published one; what it leaves out follows from it."""
    made = fleet(
        HEAD + "  gpt-4o: {provider: openai, price: {input_usd_per_million: 2,"
        " output_usd_per_million: 8, cache_write_usd_per_million: 2.5}}"
    )
    rates = made.book.price("gpt-4o", NOW).rates
    assert rates.input_picos == rates.cached_input_picos == rates.audio_input_picos == 2_000_000
    assert rates.cache_write_picos == rates.cache_write_1h_picos == 2_500_000
    assert rates.output_picos == rates.audio_output_picos == 8_000_000


def test_free_must_be_said(fleet: Callable[[str], Fleet]) -> None:
    """A price of 0 that is written out costs 0; a price that is not known is an error."""
    made = fleet(
        HEAD + "  free: {provider: local, price: {input_usd_per_million: 0,"
        " output_usd_per_million: 0}}\n  unknown: {provider: local}"
    )
    assert cost_nanos(made.book.price("free", NOW), Usage(10**6, output_tokens=10**6)) == 0
    with pytest.raises(Unpriced):
        made.book.price("unknown", NOW)


def test_the_operators_prices_change_on_their_dates(fleet: Callable[[str], Fleet]) -> None:
    """Each price holds from its day on, in whatever order they are written; before is unknown."""
    made = fleet(
        HEAD
        + """
  m:
    provider: local
    price:
      - {start_date: 2026-12-01, input_usd_per_million: 3, output_usd_per_million: 3}
      - {start_date: 2026-01-01, input_usd_per_million: 1, output_usd_per_million: 1}
"""
    )

    def picos(*day: int) -> int:
        return made.book.price("m", datetime(*day, tzinfo=UTC)).rates.input_picos  # type: ignore[arg-type,misc]  # three ints

    assert picos(2026, 1, 1) == picos(2026, 11, 30, 23, 59) == 1_000_000
    assert picos(2026, 12, 1) == 3_000_000
    with pytest.raises(Unpriced, match="2026-01-01"):
        picos(2025, 12, 31)


def test_the_operators_long_context_price(fleet: Callable[[str], Fleet]) -> None:
    """A long request pays the operator's dearer rates for all of its tokens."""
    made = fleet(
        HEAD
        + """
  m:
    provider: local
    price:
      input_usd_per_million: 1
      output_usd_per_million: 1
      long_context:
        - {input_tokens_over: 1000, input_usd_per_million: 2, output_usd_per_million: 2}
"""
    )
    price = made.book.price("m", NOW)
    assert cost_nanos(price, Usage(1000, output_tokens=1)) == 1_001_000
    assert cost_nanos(price, Usage(1001, output_tokens=1)) == 2_004_000


def test_other_numbers_are_another_version(fleet: Callable[[str], Fleet]) -> None:
    """A row booked at an old price can be told from one at a new price, and equal from equal."""

    def version(usd: str) -> str:
        price = f"{{input_usd_per_million: {usd}, output_usd_per_million: 1}}"
        made = fleet(HEAD + f"  m: {{provider: local, price: {price}}}")
        return made.book.price("m", NOW).version

    assert version("1") == version("1.0") != version("1.1")
    assert version("1").startswith("operator / m / ")


def test_aliases_are_the_same_model(fleet: Callable[[str], Fleet]) -> None:
    """A price is found by alias; a name nobody has is told with the nearest one."""
    made = fleet(HEAD + "  gpt-4o: {provider: openai, aliases: [Best]}")
    assert made.book.price("Best", NOW) == made.book.price("gpt-4o", NOW)
    with pytest.raises(UnknownModel) as caught:
        made.book.price("gpt4o", NOW)
    assert caught.value.nearest == "gpt-4o"
    with pytest.raises(UnknownModel) as caught:
        made.book.price("zzz", NOW)
    assert caught.value.nearest is None


def test_the_built_in_fleet_is_priced() -> None:
    """Every model of an empty directory has the price of the model it stands in for."""
    made = load_fleet(None)
    for card in made.models.all():
        assert f" / {card.name}" in made.book.price(card.name, NOW).version


def test_what_a_batch_costs(fleet: Callable[[str], Fleet]) -> None:
    """The operator's percentage first, then the catalogue; the factor is on the whole, rounded
    once; what nobody tells is unpriced, never the standard price."""
    made = fleet(
        """
providers:
  openai: {base_url: "https://api.openai.com/v1", api_key_env: K}
  half: {base_url: "http://127.0.0.1:1/v1", tier_percent: {batch: "33.5"}}
  local: {base_url: "http://127.0.0.1:2/v1"}
models:
  gpt-4o-mini: {provider: openai}
  own: {provider: half, price: {input_usd_per_million: "0.001", output_usd_per_million: "2"}}
  other: {provider: local, price: {input_usd_per_million: "1", output_usd_per_million: "2"}}
"""
    )
    standard, batch = (
        made.book.price_in(tier, "gpt-4o-mini", NOW) for tier in ("standard", "batch")
    )
    usage = Usage(10**6, output_tokens=10**6)
    assert standard == made.book.price("gpt-4o-mini", NOW)
    assert 2 * cost_nanos(batch, usage) == cost_nanos(standard, usage)
    assert batch.version != standard.version
    own = made.book.price_in("batch", "own", NOW)
    # 1,000 tokens at 0.001 USD a million are 1,000 nano-USD; 33.5 % of it is 335.
    assert cost_nanos(own, Usage(1000)) == 335
    assert own.version.endswith(" / batch")
    with pytest.raises(Unpriced):
        made.book.price_in("batch", "other", NOW)
    with pytest.raises(Unpriced):
        made.book.price_in("priority", "own", NOW)
