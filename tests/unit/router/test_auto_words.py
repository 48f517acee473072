"""`auto:<policy>`: the caller names the policy, as far as the fleet file says what it needs."""

from datetime import UTC, datetime

import pytest
from spendgate.router.v1 import router_service_pb2 as pb

from catalog.config import ConfigError, parse_config
from catalog.fleet import Fleet
from catalog.prices import UnknownModel
from services.router.candidate import Reason
from services.router.choose import choose
from services.router.convert import want_of

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
FLEET = """
providers: {p: {base_url: "http://127.0.0.1:8090/v1"}}
models:
  cheap: {provider: p, price: {input_usd_per_million: 1, output_usd_per_million: 1}}
  middle: {provider: p, price: {input_usd_per_million: 2, output_usd_per_million: 2}}
  strong: {provider: p, price: {input_usd_per_million: 9, output_usd_per_million: 9}}
baseline_model: strong
routing:
  policy: fixed
  fixed: middle
  policies:
    frugal: {policy: fixed, fixed: cheap}
"""


def chosen(model, text=FLEET):
    item = pb.RouteItem(tenant="t", model=model, input_tokens=10)
    return choose(Fleet.of(parse_config(text)), want_of(item), NOW)


@pytest.mark.parametrize(
    ("model", "taken", "reason"),
    [
        ("auto", "middle", Reason.POLICY_FIXED),
        ("auto:fixed", "middle", Reason.POLICY_FIXED),
        ("auto:cheap", "cheap", Reason.CHEAPEST),
        ("auto:cheapest", "cheap", Reason.CHEAPEST),
        ("auto:best", "strong", Reason.BEST),
        ("auto:frugal", "cheap", Reason.POLICY_FIXED),
    ],
)
def test_the_named_policy_decides(model, taken, reason):
    decision = chosen(model)
    assert (decision.chosen.card.name, decision.reason) == (taken, reason)


@pytest.mark.parametrize(("word", "meant"), [("bset", "auto:best"), ("weighted", None)])
def test_a_policy_nobody_knows_is_refused(word, meant):
    """Also one that the file says nothing for: `weighted` has no weights here."""
    with pytest.raises(UnknownModel) as caught:
        chosen(f"auto:{word}")
    if meant:
        assert caught.value.nearest == meant


def test_names_of_policies_are_kept_for_automatic_choice():
    with pytest.raises(ConfigError, match="is kept for automatic choice"):
        parse_config(FLEET.replace("  cheap:", '  "auto:mine":', 1))


def test_a_policy_names_models_that_are_configured():
    with pytest.raises(ConfigError, match="no model of this name"):
        parse_config(FLEET.replace("fixed: cheap", "fixed: none"))
