import gzip
import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from cli import evals


@pytest.fixture
def app() -> typer.Typer:
    app = typer.Typer()
    evals.register(app)
    return app


def _rows(count: int) -> list[dict[str, object]]:
    return [
        {
            "id": f"s/{n}",
            "source": "s",
            "prompt": f"Question number {n} " + "and more " * (n % 7),
            "scores": {"big": 1, "small": int(n % 7 < 3)},
        }
        for n in range(count)
    ]


def test_rows_with_only_id_and_prompt_are_scored(app: typer.Typer, tmp_path: Path) -> None:
    """--scores-out has a line a row, in order, with p_strong and the quality of known models."""
    data, out = tmp_path / "p.jsonl", tmp_path / "scores.jsonl"
    data.write_text('{"id": "a", "prompt": "2+2?"}\n\n{"id": "b", "prompt": ""}\n')
    done = CliRunner().invoke(
        app, ["eval", "router", "--data", str(data), "--json", "--scores-out", str(out)]
    )
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["sources"] == []
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert [line["id"] for line in lines] == ["a", "b"]
    assert all(0 <= line["p_strong"] <= 1 for line in lines)
    assert 0 <= lines[0]["quality"]["gpt-4o-2024-08-06"] <= 1


def test_rows_with_outcomes_are_reported_by_source_and_pair(
    app: typer.Typer, tmp_path: Path
) -> None:
    """Gzip is read; a pair gets the prior's figures and those after own labels."""
    data = tmp_path / "rows.jsonl.gz"
    data.write_bytes(gzip.compress("\n".join(map(json.dumps, _rows(420))).encode()))
    done = CliRunner().invoke(app, ["eval", "router", "--data", str(data), "--json"])
    assert done.exit_code == 0, done.output
    (entry,) = json.loads(done.stdout)["sources"]
    assert (entry["source"], entry["strong"], entry["weak"]) == ("s", "big", "small")
    assert 0 <= entry["prior"]["cpt50"] <= entry["prior"]["cpt80"] <= 1
    assert entry["own_labels"]["apgr"] > 0.6
    shown = CliRunner().invoke(app, ["eval", "router", "--data", str(data)])
    assert "own labels" in shown.stdout


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "has no rows"),
        ("{", "line 1: is not JSON"),
        ("[]", "line 1: is not an object"),
        ('{"id": "a"}', "line 1: has no text in prompt"),
        ('{"id": "a", "prompt": "x", "scores": {"m": 2}}', "scores must be numbers from 0 to 1"),
    ],
)
def test_a_bad_file_is_told_by_line(
    app: typer.Typer, tmp_path: Path, text: str, problem: str
) -> None:
    """A broken row ends the run with exit code 2 and the line, never a traceback."""
    data = tmp_path / "rows.jsonl"
    data.write_text(text)
    done = CliRunner().invoke(app, ["eval", "router", "--data", str(data)])
    assert done.exit_code == 2
    assert problem in done.stderr


def test_a_missing_file_is_told(app: typer.Typer, tmp_path: Path) -> None:
    """A path that leads nowhere is told by the system's words."""
    done = CliRunner().invoke(app, ["eval", "router", "--data", str(tmp_path / "none")])
    assert done.exit_code == 2
    assert "No such file" in done.stderr
