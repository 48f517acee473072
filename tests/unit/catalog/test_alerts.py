"""The section `alerts` of the fleet file."""

import pytest

from catalog.alerts import AlertKind, nanos_of
from catalog.config import ConfigError, parse_config

FLEET = """
providers: {p: {base_url: "http://127.0.0.1:1/v1"}}
models: {m: {provider: p}}
alerts:
"""


def _alerts(text: str):
    return parse_config(FLEET + text).alerts


def test_without_the_section_budgets_and_anomalies_are_watched() -> None:
    """And nobody is told; thresholds are the operator's to set."""
    alerts = parse_config(FLEET.removesuffix("alerts:\n")).alerts
    assert alerts.budget_percents == [50, 80, 100]
    assert alerts.budget_forecast
    assert alerts.anomaly.enabled
    assert (alerts.hour_usd, alerts.webhooks) == (None, {})


def test_a_tenants_threshold_takes_the_place_of_the_general_one() -> None:
    """Each for itself."""
    alerts = _alerts('  hour_usd: 10\n  day_usd: 100\n  tenants: {acme: {hour_usd: "0.5"}}\n')
    own, others = alerts.thresholds("acme"), alerts.thresholds("other")
    assert (nanos_of(own.hour_usd), nanos_of(own.day_usd)) == (5 * 10**8, 10**11)
    assert nanos_of(others.hour_usd) == 10**10


def test_a_webhook_is_told_what_it_asked_for() -> None:
    """Its kinds, its tenants."""
    (hook,) = _alerts(
        "  webhooks: {ops: {url_env: OPS, kinds: [anomaly], tenants: [acme]}}\n"
    ).webhooks.values()
    assert hook.wants("acme", AlertKind.ANOMALY)
    assert not hook.wants("acme", AlertKind.HOUR_COST)
    assert not hook.wants("other", AlertKind.ANOMALY)
    assert hook.address({}) is None
    assert hook.address({"OPS": "https://hooks.example/x"}) == "https://hooks.example/x"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("  hour_usd: -1\n", "alerts.hour_usd: must be above 0"),
        ('  hour_usd: "0.0000000001"\n', "alerts.hour_usd: must be above 0"),
        ("  hour_usd: .inf\n", "alerts.hour_usd"),
        ("  error_percent: 101\n", "alerts.error_percent"),
        ("  budget_percent: [50]\n", "unknown key, did you mean budget_percents?"),
        ("  webhooks: {ops: {format: slack}}\n", "give either url or url_env"),
        ("  webhooks: {ops: {url: 'ftp://x'}}\n", "must be a URL"),
        ("  webhooks: {ops: {url_env: 'https://hooks.example/s3cret'}}\n", "must be the NAME"),
        ("  webhooks: {ops: {url_env: SPENDGATE_OPS}}\n", "must not begin with SPENDGATE_"),
        ("  webhooks: {ops: {url_env: OPS, kinds: [budget]}}\n", "alerts.webhooks.ops.kinds"),
        ("  webhooks: {ops: {url_env: OPS, kinds: []}}\n", "alerts.webhooks.ops.kinds"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(text: str, problem: str) -> None:
    """And never with the value, which may be a secret."""
    with pytest.raises(ConfigError) as caught:
        _alerts(text)
    assert problem in "\n".join(caught.value.problems)
    assert "s3cret" not in str(caught.value)
