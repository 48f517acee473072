"""Who answers: the small model, or a provider that bills and is bounded first."""

import dataclasses
from datetime import UTC, datetime
from pathlib import Path

import pytest

from catalog.config import embedded_config, parse_config
from cli.demo_rows import Day, load_day
from cli.demo_upstream import (
    Upstream,
    UpstreamUnusable,
    find_upstream,
    reports_budget_nanos,
    worst_case_nanos,
)

NOW = datetime(2026, 11, 23, tzinfo=UTC)
FLEET = """\
providers:
  mine: {base_url: "http://127.0.0.1:9/v1"}
  other: {base_url: "http://127.0.0.1:9/v1", api_key_env: OTHER_KEY}
models:
  small: {provider: mine, price: {input_usd_per_million: "1", output_usd_per_million: "2"}}
  big:
    provider: mine
    price: {input_usd_per_million: "3", output_usd_per_million: "9"}
    fallbacks: [small, far]
  far: {provider: other, price: {input_usd_per_million: "5", output_usd_per_million: "20"}}
  odd: {provider: other}
baseline_model: far
"""


def local() -> Upstream:
    return find_upstream("local", {}, Path("/nowhere"), NOW)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "spendgate.yaml").write_text(FLEET)
    return tmp_path


def test_the_local_model_needs_nothing(tmp_path: Path) -> None:
    """No key, no file: the built-in fleet, the strong model's price and the cheapest one's."""
    upstream = find_upstream("local", {}, tmp_path, NOW)
    assert parse_config(upstream.config_text, "x") == embedded_config()
    assert not upstream.bills
    assert upstream.variables == {"SPENDGATE_LOCAL_MODEL_URL"}
    assert [price.model for price in upstream.prices] == ["gpt-5.4", "gpt-4o-mini"]
    assert all("genai-prices" in price.version for price in upstream.prices)


def test_openai_needs_its_key(tmp_path: Path) -> None:
    """Without the key the error says which variable, and what runs without one."""
    with pytest.raises(UpstreamUnusable, match=r"OPENAI_API_KEY.*make demo"):
        find_upstream("openai", {}, tmp_path, NOW)


def test_openai_runs_on_the_models_whose_prices_the_local_demo_uses(tmp_path: Path) -> None:
    """The same models and prices, and a fleet file that never holds the key."""
    upstream = find_upstream("openai", {"OPENAI_API_KEY": "sk-canary"}, tmp_path, NOW)
    assert upstream.bills
    assert "canary" not in upstream.config_text
    assert parse_config(upstream.config_text, "x").baseline_model == "gpt-5.4"
    assert upstream.prices == local().prices
    assert not upstream.manner.keep_stop


def test_a_provider_of_the_fleet_file_stands_alone(folder: Path) -> None:
    """Only its models are kept, with only their fallbacks; the dearest is the one compared with."""
    upstream = find_upstream("mine", {}, folder, NOW)
    config = parse_config(upstream.config_text, "x")
    assert set(config.models) == {"small", "big"}
    assert set(config.providers) == {"mine"}
    assert config.models["big"].fallbacks == ["small"]
    assert upstream.manner.strong_model == "big"
    assert [price.model for price in upstream.prices] == ["big", "small"]


def test_the_environment_may_name_the_fleet_file(folder: Path, tmp_path: Path) -> None:
    """SPENDGATE_CONFIG wins over the folder."""
    environ = {"SPENDGATE_CONFIG": str(folder / "spendgate.yaml")}
    assert find_upstream("mine", environ, tmp_path / "empty", NOW).name == "mine"


@pytest.mark.parametrize(
    ("name", "environ", "problem"),
    [
        ("theirs", {}, "has no provider 'theirs'; there are: local, openai, mine, other"),
        ("other", {}, "environment variable OTHER_KEY"),
        ("other", {"OTHER_KEY": "k"}, "the price of odd is unknown"),
        ("mine", {"SPENDGATE_CONFIG": "/nowhere/f.yaml"}, "/nowhere/f.yaml"),
    ],
)
def test_an_upstream_that_cannot_run_says_why(
    folder: Path, name: str, environ: dict[str, str], problem: str
) -> None:
    """Each reason names the thing to change."""
    with pytest.raises(UpstreamUnusable, match=problem):
        find_upstream(name, environ, folder, NOW)


def test_a_name_without_a_file_is_refused(tmp_path: Path) -> None:
    """Where there is no fleet file the error says what would be one."""
    with pytest.raises(UpstreamUnusable, match=r"spendgate\.yaml"):
        find_upstream("mine", {}, tmp_path, NOW)


def test_the_worst_case_reads_bytes_and_writes_limits() -> None:
    """One row by hand, and a second turn that reads the first again."""
    day, upstream = load_day(), local()
    first, second = (row for row in day.rows if row.session == "talk-tent" and row.turn <= 2)
    system = len(day.prompts["assistant"].encode())
    read_1 = system + 16 + len(first.text.encode()) + 16
    read_2 = read_1 + first.output_tokens_max + 16 + len(second.text.encode()) + 16
    written = first.output_tokens_max + second.output_tokens_max
    nanos = (read_1 + read_2) * 2_500 + written * 15_000
    assert worst_case_nanos(Day((first, second), day.prompts), upstream) == nanos


def test_the_worst_case_of_the_paid_day_is_under_its_limit() -> None:
    """The day fits the dollar that the demo allows itself."""
    paid = find_upstream("openai", {"OPENAI_API_KEY": "k"}, Path("/nowhere"), NOW)
    assert worst_case_nanos(load_day(), paid) < 1_000_000_000


def test_the_reports_budget_grows_with_what_a_report_may_cost() -> None:
    """A few of the feature's requests fit, whatever the answers' limit."""
    day, upstream = load_day(), local()
    small = reports_budget_nanos(day, upstream, feature="reports", tokens_margin=64)
    room = dataclasses.replace(upstream.manner, output_tokens_min=480)
    large = reports_budget_nanos(
        day, dataclasses.replace(upstream, manner=room), feature="reports", tokens_margin=64
    )
    assert small == 3_100_000
    assert large > 5 * small
    assert reports_budget_nanos(day, upstream, feature="none", tokens_margin=64) == 0
