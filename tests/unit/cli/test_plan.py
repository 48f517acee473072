"""What a fleet on one machine is made of."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from catalog.config import embedded_config
from chassis.local import LOCAL
from cli.embedded.folder import Folder, Secrets
from cli.embedded.plan import (
    LOCAL_MODEL_URL,
    Options,
    Plan,
    PlanProblem,
    check_variables,
    find_config,
    make_plan,
    read_config,
)
from cli.embedded.ports import NoPort, Ports
from cli.embedded.rooms import settings_of
from cli.embedded.together import its_own

SECRETS = Secrets("token-" + "t" * 32, "pepper-" + "p" * 32)
PAID = """
providers:
  openai: {kind: openai, base_url: "https://api.openai.com/v1", api_key_env: OPENAI_API_KEY}
models:
  gpt-5.4-mini: {provider: openai}
"""


@pytest.fixture
def ports(tmp_path: Path) -> Iterator[Ports]:
    with Ports(tmp_path / "ports") as claimed:
        yield claimed


def plan(
    tmp_path: Path,
    ports: Ports,
    config: Path | None = None,
    *,
    apart: bool = True,
    **environ: str,
) -> Plan:
    options = Options(tmp_path, config, {"PATH": "/bin", **environ}, 17070, 17080, apart)
    return make_plan(
        options,
        config,
        read_config(config, options.environ),
        folder=Folder(tmp_path),
        secrets=SECRETS,
        ports=ports,
        redis_url="unix:///r",
        otlp="127.0.0.1:1",
        traces="http://127.0.0.1:2",
    )


def _paid(tmp_path: Path) -> Path:
    file = tmp_path / "fleet.yaml"
    file.write_text(PAID)
    return file


def test_the_console_reads_traces_where_spans_go(tmp_path: Path, ports: Ports) -> None:
    """From the fleet's own store; not where the spans go elsewhere and nobody said to read them."""
    own = plan(tmp_path, ports).programs[-1].environ
    assert own["SPENDGATE_TRACES_URL"] == "http://127.0.0.1:2"
    assert own["SPENDGATE_TRACES_FORM"] == "spendgate"
    elsewhere = {"SPENDGATE_OTLP_ENDPOINT": "collector:4317"}
    assert "SPENDGATE_TRACES_URL" not in plan(tmp_path, ports, **elsewhere).programs[-1].environ
    elsewhere["SPENDGATE_TRACES_URL"] = "http://jaeger:16686"
    told = plan(tmp_path, ports, **elsewhere).programs[-1].environ
    assert told["SPENDGATE_TRACES_URL"] == "http://jaeger:16686"
    assert "SPENDGATE_TRACES_FORM" not in told


def test_the_gateway_comes_last_and_knows_the_others(tmp_path: Path, ports: Ports) -> None:
    """Every service has a port of its own; the gateway is told each of them."""
    made = plan(tmp_path, ports)
    assert [program.name for program in made.programs] == [
        "local-model", "tokenizer", "cache", "router", "ledger", "gateway",
    ]  # fmt: skip
    gateway = made.programs[-1].environ
    for program in made.programs[1:-1]:
        assert program.environ["SPENDGATE_LISTEN"] == program.address
        assert gateway[f"SPENDGATE_{program.name.upper()}_ADDRESS"] == program.address
    assert len({program.address for program in made.programs}) == 6
    assert gateway[LOCAL_MODEL_URL] == f"http://{made.programs[0].address}/v1"


def test_what_holds_no_money_lives_with_the_gateway(tmp_path: Path, ports: Ports) -> None:
    """Unless told otherwise: one process, a port for each, and each of them told only its own."""
    made = plan(tmp_path, ports, apart=False, SPENDGATE_TEMPERATURE_MAX="0.2")
    assert [program.name for program in made.programs] == ["local-model", "ledger", "gateway"]
    environ = made.programs[-1].environ
    names = ("tokenizer", "cache", "router", "gateway")
    assert made.programs[-1].command[-4:] == names
    assert "SPENDGATE_KEY_PEPPER" not in environ
    told = {name: its_own(name, names, environ, settings_of(name)) for name in names}
    listens = {name: each["SPENDGATE_LISTEN"] for name, each in told.items()}
    assert len(set(listens.values())) == 4
    assert listens["gateway"] == made.gateway
    assert [name for name in names if "SPENDGATE_TEMPERATURE_MAX" in told[name]] == ["cache"]
    assert [name for name in names if "SPENDGATE_REDIS_URL" in told[name]] == ["cache"]
    gateway = told["gateway"]
    assert gateway["SPENDGATE_CACHE_ADDRESS"] == gateway["SPENDGATE_ROUTER_ADDRESS"] == LOCAL
    assert gateway["SPENDGATE_LEDGER_ADDRESS"] == made.ledger


def test_nobody_gets_settings_that_are_not_theirs(tmp_path: Path, ports: Ports) -> None:
    """The pepper is the ledger's, Redis the cache's, and the books' place the ledger's."""
    made = {program.name: program.environ for program in plan(tmp_path, ports).programs}
    for name, owner in (
        ("SPENDGATE_KEY_PEPPER", "ledger"),
        ("SPENDGATE_DATABASE_URL", "ledger"),
        ("SPENDGATE_REDIS_URL", "cache"),
        ("SPENDGATE_OUTBOX_DIR", "gateway"),
        ("SPENDGATE_BATCH_DIR", "gateway"),
    ):
        assert [who for who, environ in made.items() if name in environ] == [owner]
    assert not any(name.startswith("SPENDGATE_") for name in made["local-model"])


def test_a_providers_key_reaches_the_gateway_only(tmp_path: Path, ports: Ports) -> None:
    """Secrets of the shell stay out of every process that has no use for them."""
    made = plan(tmp_path, ports, _paid(tmp_path), OPENAI_API_KEY="sk-secret", AWS_SECRET="x")
    for program in made.programs:
        assert ("sk-secret" in program.environ.values()) is (program.name == "gateway")
    assert "local-model" not in [program.name for program in made.programs]


def test_a_missing_key_is_told_before_anything_starts(tmp_path: Path) -> None:
    """The variable and its provider are named."""
    with pytest.raises(PlanProblem, match=r"OPENAI_API_KEY .*openai"):
        read_config(_paid(tmp_path), {})


def test_an_unknown_variable_is_refused_with_the_nearest() -> None:
    """A typo in a setting's name does not pass silently."""
    with pytest.raises(PlanProblem, match="SPENDGATE_REDIS_TIMEOUT_MS"):
        check_variables({"SPENDGATE_REDIS_TIMEUOT_MS": "20"}, embedded_config())


def test_what_the_shell_says_goes_to_who_declares_it(tmp_path: Path, ports: Ports) -> None:
    """A setting of the cache is the cache's; one of the chassis is everybody's."""
    made = plan(tmp_path, ports, SPENDGATE_TEMPERATURE_MAX="0.2", SPENDGATE_LOG_LEVEL="error")
    found = {program.name: program.environ for program in made.programs}
    assert [name for name in found if "SPENDGATE_TEMPERATURE_MAX" in found[name]] == ["cache"]
    assert [name for name in found if "SPENDGATE_LOG_LEVEL" not in found[name]] == ["local-model"]


def test_the_real_database_and_model_are_taken_when_told(tmp_path: Path, ports: Ports) -> None:
    """Where a variable names the real thing, nothing is put in its place."""
    made = plan(
        tmp_path,
        ports,
        SPENDGATE_DATABASE_URL="sqlite:////d",
        SPENDGATE_LOCAL_MODEL_URL="http://m/v1",
    )
    found = {program.name: program.environ for program in made.programs}
    assert found["ledger"]["SPENDGATE_DATABASE_URL"] == "sqlite:////d"
    assert found["gateway"][LOCAL_MODEL_URL] == "http://m/v1"
    assert "local-model" not in found


def test_the_fleet_file_is_looked_for_in_order(tmp_path: Path) -> None:
    """The flag, then the variable, then spendgate.yaml in the folder one stands in."""
    assert find_config(Options(tmp_path), tmp_path) is None
    here = tmp_path / "spendgate.yaml"
    here.write_text(PAID)
    assert find_config(Options(tmp_path), tmp_path) == here
    named = Options(tmp_path, environ={"SPENDGATE_CONFIG": "/a.yaml"})
    assert find_config(named, tmp_path) == Path("/a.yaml")
    told = Options(tmp_path, Path("/b.yaml"), {"SPENDGATE_CONFIG": "/a.yaml"})
    assert find_config(told, tmp_path) == Path("/b.yaml")


def test_a_port_in_use_is_passed_over(ports: Ports) -> None:
    """A port that somebody listens on, or another fleet has claimed, is not handed out."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen(1)
        number = int(taken.getsockname()[1])
        first = ports.claim(number)
        assert first > number
        assert ports.claim(number) > first


def test_claims_end_with_their_fleet(tmp_path: Path) -> None:
    """What one fleet claimed, another one passes over until the first is gone."""
    with Ports(tmp_path / "p") as one:
        number = one.claim(21_000)
        with Ports(tmp_path / "p") as other:
            assert other.claim(number) != number
    with Ports(tmp_path / "p") as later:
        assert later.claim(number) == number


def test_no_port_at_all_is_an_error(tmp_path: Path) -> None:
    """When every try fails the error says where was looked."""
    with Ports(tmp_path / "p") as ports, pytest.raises(NoPort, match="70000"):
        ports.claim(70_000)
