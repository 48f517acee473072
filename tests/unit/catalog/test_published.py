"""Hand-checked prices. The figures are those of the providers' price pages as of 2026-11-23; the
multipliers, cliffs and dates were checked against two catalogues."""

from datetime import UTC, datetime

import pytest

from catalog.price import ModelPrice, cost_nanos
from catalog.published import NoPublishedPrice, Published
from catalog.usage import Usage

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
USD = 10**9


def price_of(published: Published, provider: str, model: str, at: datetime = NOW) -> ModelPrice:
    found = published.find(provider, model)
    assert found is not None
    return [dated.price for dated in published.prices(found) if dated.holds(at)][-1]


# Picos a token: input, cached input, cache write, one-hour write, output.
TABLE = [
    # cached reads at half price
    ("openai", "gpt-4o", 2_500_000, 1_250_000, 2_500_000, 2_500_000, 10_000_000),
    ("openai", "gpt-4o-mini", 150_000, 75_000, 150_000, 150_000, 600_000),
    # at a quarter
    ("openai", "gpt-4.1", 2_000_000, 500_000, 2_000_000, 2_000_000, 8_000_000),
    ("openai", "o3", 2_000_000, 500_000, 2_000_000, 2_000_000, 8_000_000),
    # at a tenth
    ("openai", "gpt-5", 1_250_000, 125_000, 1_250_000, 1_250_000, 10_000_000),
    ("openai", "gpt-5.4", 2_500_000, 250_000, 2_500_000, 2_500_000, 15_000_000),
    ("openai", "gpt-5.4-mini", 750_000, 75_000, 750_000, 750_000, 4_500_000),
    # at a twentieth; writes billed at 1.25 from GPT-5.6 on
    ("openai", "gpt-6.1-sol", 2_000_000, 100_000, 2_500_000, 2_500_000, 10_000_000),
    # Anthropic: writes at 1.25, kept for an hour at 2
    ("anthropic", "claude-haiku-4-5", 1_000_000, 100_000, 1_250_000, 2_000_000, 5_000_000),
    ("anthropic", "claude-sonnet-4-6", 3_000_000, 300_000, 3_750_000, 6_000_000, 15_000_000),
    ("anthropic", "claude-opus-5-5", 4_000_000, 200_000, 5_000_000, 8_000_000, 20_000_000),
    # reads at a fortieth
    ("anthropic", "claude-fable-5-1", 10_000_000, 250_000, 12_500_000, 20_000_000, 50_000_000),
    ("anthropic", "claude-haiku-5-5", 100_000, 10_000, 125_000, 200_000, 500_000),
    ("google", "gemini-2.5-pro", 1_250_000, 125_000, 1_250_000, 1_250_000, 10_000_000),
    ("google", "gemini-2.5-flash", 300_000, 30_000, 300_000, 300_000, 2_500_000),
    ("google", "gemini-3.8-flash", 750_000, 75_000, 750_000, 750_000, 3_750_000),
    # no published cached price: cached tokens are billed as input
    ("openai", "gpt-3.5-turbo", 500_000, 500_000, 500_000, 500_000, 1_500_000),
    ("openai", "gpt-4", 30_000_000, 30_000_000, 30_000_000, 30_000_000, 60_000_000),
]


@pytest.mark.parametrize("row", TABLE, ids=[f"{row[0]}/{row[1]}" for row in TABLE])
def test_published_prices_are_exact(
    published: Published, row: tuple[str, str, int, int, int, int, int]
) -> None:
    """The price of a well-known model is what its provider publishes, to the pico."""
    provider, model, *expected = row
    rates = price_of(published, provider, model).rates
    assert expected == [
        rates.input_picos,
        rates.cached_input_picos,
        rates.cache_write_picos,
        rates.cache_write_1h_picos,
        rates.output_picos,
    ]


CLIFFS = [
    # provider, model, last cheap token, nanos there, nanos one token further (input only)
    ("openai", "gpt-5.4", 272_000, 680_000_000, 1_360_005_000),
    ("google", "gemini-2.5-pro", 200_000, 250_000_000, 500_002_500),
    ("anthropic", "claude-haiku-5-5", 100_000, 10_000_000, 50_000_500),
]


@pytest.mark.parametrize("row", CLIFFS, ids=[row[1] for row in CLIFFS])
def test_one_token_over_a_cliff_reprices_the_whole_request(
    published: Published, row: tuple[str, str, int, int, int]
) -> None:
    """272,000 tokens of gpt-5.4 cost 0.68 USD, one more costs 1.36: all tokens pay the tier."""
    provider, model, last, below, above = row
    price = price_of(published, provider, model)
    assert cost_nanos(price, Usage(input_tokens=last)) == below
    assert cost_nanos(price, Usage(input_tokens=last + 1)) == above


def test_a_cliff_looks_at_all_that_is_read(published: Published) -> None:
    """Cached tokens count towards the cliff, and output is dearer beyond it too."""
    price = price_of(published, "openai", "gpt-5.4")
    usage = Usage(input_tokens=1, cached_input_tokens=272_000, output_tokens=1_000_000)
    assert cost_nanos(price, usage) == 5_000 + 136_000_000 + 22_500_000_000


def test_reasoning_is_billed_as_output(published: Published) -> None:
    """Hidden reasoning costs what visible text costs."""
    price = price_of(published, "openai", "o3")
    assert cost_nanos(price, Usage(reasoning_tokens=1_000_000)) == 8 * USD


def test_sound_has_its_own_price(published: Published) -> None:
    """A million tokens of sound read by gemini-2.5-flash cost 1 USD, of text 0.30."""
    price = price_of(published, "google", "gemini-2.5-flash")
    assert cost_nanos(price, Usage(audio_input_tokens=1_000_000)) == USD
    assert cost_nanos(price, Usage(input_tokens=1_000_000)) == 3 * USD // 10


def test_pictures_have_their_own_price(published: Published) -> None:
    """Made ones at gemini-2.5-flash-image cost 30 USD a million, where text costs 2.50; where no
    price of theirs is told they cost as text."""
    price = price_of(published, "google", "gemini-2.5-flash-image")
    assert cost_nanos(price, Usage(image_output_tokens=1_000_000)) == 30 * USD
    assert cost_nanos(price, Usage(output_tokens=1_000_000)) == 25 * USD // 10
    text = price_of(published, "google", "gemini-2.5-flash")
    assert cost_nanos(text, Usage(image_input_tokens=1_000_000)) == 3 * USD // 10


@pytest.mark.parametrize(
    ("model", "at", "picos", "since"),
    [
        ("openai/o3", datetime(2025, 6, 9, 23, 59, 59, tzinfo=UTC), 10_000_000, None),
        ("openai/o3", datetime(2025, 6, 10, tzinfo=UTC), 2_000_000, "2025-06-10"),
        ("google/gemini-3.8-flash", datetime(2026, 12, 31, 23, tzinfo=UTC), 750_000, None),
        ("google/gemini-3.8-flash", datetime(2027, 1, 1, tzinfo=UTC), 1_500_000, "2027-01-01"),
        ("anthropic/claude-sonnet-4-6", datetime(2026, 3, 13, tzinfo=UTC), 3_000_000, "2026-03-13"),
    ],
)
def test_a_price_holds_from_its_date_on(
    published: Published, model: str, at: datetime, picos: int, since: str | None
) -> None:
    """o3 cost 10 USD up to 2025-06-09 and 2 USD from the 10th, by UTC; the version says which."""
    price = price_of(published, *model.split("/"), at)
    assert price.rates.input_picos == picos
    assert price.version == " / ".join(
        [published.version, *model.split("/"), *([since] if since else [])]
    )
    assert price.version.startswith("genai-prices ")


@pytest.mark.parametrize(
    ("hour", "minute", "picos"),
    [(0, 59, 150_000), (1, 0, 300_000), (3, 59, 300_000), (4, 0, 150_000), (6, 0, 300_000)],
)
def test_a_price_by_the_time_of_day(
    published: Published, hour: int, minute: int, picos: int
) -> None:
    """deepseek-v4-flash costs twice as much from 01:00 to 04:00 and 06:00 to 10:00 UTC."""
    at = datetime(2026, 11, 23, hour, minute, tzinfo=UTC)
    assert price_of(published, "deepseek", "deepseek-v4-flash", at).rates.input_picos == picos


@pytest.mark.parametrize(
    ("provider", "model", "reason"),
    [
        ("perplexity", "sonar", "requests_kcount"),
        ("openrouter", "google/gemini-3.5-flash", "0.08333333333333334"),
    ],
)
def test_what_tokens_cannot_be_billed_by_is_unpriced(
    published: Published, provider: str, model: str, reason: str
) -> None:
    """A fee per request, no price for output or a price in thirds of a pico is no token price."""
    found = published.find(provider, model)
    assert found is not None
    with pytest.raises(NoPublishedPrice) as caught:
        published.prices(found)
    assert reason in caught.value.reason


def test_an_embedding_model_has_a_price(published: Published) -> None:
    """It writes nothing, so no price for writing is missing."""
    found = published.find("openai", "text-embedding-3-small")
    assert found is not None
    (dated,) = published.prices(found)
    assert dated.price.rates.input_picos == 20_000


def test_nearly_all_published_token_prices_are_whole_picos(published: Published) -> None:
    """Of the first makers' own models that have token prices, none is lost to rounding."""
    from genai_prices.data import providers

    makers = {"openai", "anthropic", "google", "deepseek", "mistral", "x-ai"}
    reasons = {}
    for provider in providers:
        for info in provider.models if provider.id in makers else ():
            found = published.find(provider.id, info.id)
            if found is None:  # an id that its own rule does not match, such as a dated pattern
                continue
            try:
                published.prices(found)
            except NoPublishedPrice as error:
                reasons[provider.id, info.id] = error.reason
    assert reasons
    assert not [name for name, reason in reasons.items() if "whole number" in reason]


@pytest.mark.parametrize(
    ("url", "provider"),
    [
        ("https://api.openai.com/v1", "openai"),
        ("https://api.groq.com/openai/v1", "groq"),
        ("http://127.0.0.1:8090/v1", None),
        ("https://evil.example/https://api.openai.com/v1", None),
    ],
)
def test_a_provider_is_known_by_its_address(
    published: Published, url: str, provider: str | None
) -> None:
    """Prices follow the address of the provider, not the protocol it speaks."""
    assert published.provider_at(url) == provider
