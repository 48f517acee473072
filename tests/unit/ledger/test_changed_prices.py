"""Prices that change while the ledger runs."""

import pytest

from catalog.config import parse_config
from catalog.fleet import Fleet
from services.ledger.rules.pricing import CatalogPrices
from services.ledger.rules.refusals import ModelUnpriced

FILE = """
providers: {{p: {{base_url: "http://127.0.0.1:1/v1"}}}}
models:
  {name}: {{provider: p, price: {{input_usd_per_million: "{price}", output_usd_per_million: "1"}}}}
"""
SECOND = 1_000_000


def book(name, price):
    return Fleet.of(parse_config(FILE.format(name=name, price=price))).book


def read_picos(prices, model, at_us):
    return prices.price(model, at_us).rates.input_picos


def test_a_moment_has_the_price_of_the_book_that_held_then():
    """What was held under one file is charged by it; from the change on another version."""
    prices = CatalogPrices(book("m", "1"))
    prices.take_over(book("m", "2"), 100 * SECOND)
    assert read_picos(prices, "m", 99 * SECOND) == 1_000_000
    assert read_picos(prices, "m", 100 * SECOND) == 2_000_000
    versions = {prices.price("m", at * SECOND).version for at in (99, 100)}
    assert len(versions) == 2


def test_a_model_that_is_gone_keeps_its_last_price():
    """Its calls may still be under way; a model nobody ever had is refused."""
    prices = CatalogPrices(book("m", "1"))
    prices.take_over(book("n", "2"), 100 * SECOND)
    assert read_picos(prices, "m", 200 * SECOND) == 1_000_000
    assert read_picos(prices, "n", 50 * SECOND) == 2_000_000
    with pytest.raises(ModelUnpriced):
        prices.price("never", 200 * SECOND)


def test_a_price_learned_later_holds_for_the_past_too():
    """Repricing asks what is known now, not what held then."""
    prices = CatalogPrices(book("m", "1"))
    prices.take_over(book("m", "2"), 100 * SECOND)
    assert read_picos(prices.newest(), "m", 1) == 2_000_000


def test_only_so_many_books_are_kept():
    """A file that changes every minute must not fill the memory."""
    prices = CatalogPrices(book("first", "1"))
    for n in range(1, 12):
        prices.take_over(book("m", str(n)), n * SECOND)
    assert len(prices._books) <= 4
    with pytest.raises(ModelUnpriced):
        prices.price("first", 100 * SECOND)
