"""The command line without a fleet."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cli.main import build

HEAVY = ("grpc", "pydantic_settings", "google.protobuf", "catalog", "opentelemetry", "yaml")


def call(*arguments: str, **environ: str) -> Result:
    return CliRunner().invoke(build(arguments), list(arguments), env=environ)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["up"],
        ["chat"],
        ["report"],
        ["models"],
        ["trace"],
        ["demo"],
        ["budget"],
        ["budget", "create"],
        ["budget", "list"],
        ["budget", "update"],
        ["budget", "delete"],
        ["key"],
        ["key", "create"],
        ["key", "list"],
        ["key", "disable"],
        ["config"],
        ["config", "check"],
        ["config", "schema"],
    ],
)
def test_every_command_explains_itself(arguments: list[str]) -> None:
    """--help works everywhere; every single command shows an example or the exit codes."""
    shown = call(*arguments, "--help")
    assert shown.exit_code == 0
    assert "Example" in shown.output or "Exit codes" in shown.output or arguments == ["demo"]


def test_help_is_light() -> None:
    """Asking for help loads none of the heavy libraries."""
    script = (
        "import sys; from cli.main import build; build([]);"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    told = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    assert told.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "arguments",
    [
        ["chat", "hello"],
        ["report"],
        ["models"],
        ["trace", "last"],
        ["budget", "list"],
        ["key", "list"],
        ["key", "create", "k"],
        ["budget", "create", "b", "--limit", "1"],
    ],
)
def test_without_a_fleet_the_next_step_is_told(arguments: list[str], tmp_path: Path) -> None:
    """Exit code 3 and the command that starts one, as text and as JSON."""
    place = ["--dir", str(tmp_path)]
    plain = call(*arguments, *place)
    assert plain.exit_code == 3
    assert "spendgate up" in plain.stderr
    told = call(*arguments, *place, "--json")
    assert told.exit_code == 3
    assert json.loads(told.stderr)["error"]["reason"] == "NO_FLEET"
    assert told.stdout == ""


@pytest.mark.parametrize(
    "arguments",
    [
        ["report", "--by", "colour"],
        ["report", "--by", "model,model"],
        ["report", "--by", "feature,model,user,kind"],
        ["report", "--since", "yesterday"],
        ["budget", "create", "b", "--limit", "much"],
        ["budget", "create", "b", "--limit", "1", "--window", "fortnight"],
        ["key", "create", "k", "--role", "king"],
        ["key", "create", "k", "--expires", "soon"],
        ["trace", "not-hex"],
        ["chat", "   "],
        ["chat"],
        ["chat", "hi", "--max-cost", "cheap"],
        ["nonsense"],
    ],
)
def test_wrong_usage_is_exit_code_2(arguments: list[str], tmp_path: Path) -> None:
    """What is typed wrongly is told before any fleet is looked for."""
    shown = call(*arguments, SPENDGATE_DIR=str(tmp_path))
    assert shown.exit_code == 2
    assert "Traceback" not in shown.output


GOOD = """
providers:
  openai: {kind: openai, base_url: "https://api.openai.com/v1", api_key_env: SOME_KEY}
models:
  gpt-5.4-mini: {provider: openai}
  mystery: {provider: openai, context_window_tokens: 1000, output_tokens_max: 100}
"""


def test_a_good_fleet_file_is_summed_up(tmp_path: Path) -> None:
    """What a file holds, which model has no price, and which variable is not set."""
    file = tmp_path / "fleet.yaml"
    file.write_text(GOOD)
    shown = call("config", "check", str(file))
    assert shown.exit_code == 0
    assert "1 providers, 2 models" in shown.output
    assert "mystery" in shown.output
    assert "SOME_KEY" in shown.output
    told = json.loads(call("config", "check", str(file), "--json", SOME_KEY="x").output)
    assert told["ok"] is True
    assert told["unpriced_models"] == ["mystery"]
    assert told["unset_variables"] == []


def test_a_bad_fleet_file_names_every_problem(tmp_path: Path) -> None:
    """Exit code 5; unknown keys come with the nearest name; JSON lists the problems."""
    file = tmp_path / "fleet.yaml"
    file.write_text(GOOD.replace("base_url", "base_ulr"))
    shown = call("config", "check", str(file))
    assert shown.exit_code == 5
    assert "base_url" in shown.output
    told = call("config", "check", str(file), "--json")
    assert told.exit_code == 5
    assert json.loads(told.stdout)["ok"] is False


def test_a_fleet_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    """A missing file is a problem with its name, not a traceback."""
    shown = call("config", "check", str(tmp_path / "none.yaml"))
    assert shown.exit_code == 5
    assert "none.yaml" in shown.output


def test_the_schema_is_json() -> None:
    """Editors get a JSON Schema with the file's keys."""
    told = json.loads(call("config", "schema").output)
    assert {"providers", "models"} <= told["properties"].keys()
