import gzip
import json
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from cli import evals

FRANCE = "What is the capital of France?"
PAIRS = [
    {"a": FRANCE, "b": "Tell me France's capital", "same": 1, "source": "x"},
    {"a": FRANCE, "b": "what is the capital of france?", "same": 1, "source": "x"},
    {"a": FRANCE, "b": "What is the capital of Germany?", "same": 0, "source": "y"},
]


@pytest.fixture
def app() -> typer.Typer:
    app = typer.Typer()
    evals.register(app)
    return app


def write(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def run(app: typer.Typer, *arguments: object) -> Any:
    return CliRunner().invoke(app, ["eval", "cache", *map(str, arguments)])


def test_pairs(app: typer.Typer, tmp_path: Path) -> None:
    """Precision, recall and wrong accepted, of all and by source; a verdict a row, in order."""
    out = tmp_path / "scores.jsonl"
    data = write(tmp_path / "p.jsonl", PAIRS)
    done = run(app, "--pairs", data, "--json", "--scores-out", out)
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["all"] == {"n": 3, "precision": 1.0, "recall": 1.0, "wrong_accepted": 0.0}
    assert found["by_source"]["x"] == {
        "n": 2, "precision": 1.0, "recall": 1.0, "wrong_accepted": None
    }  # fmt: skip
    assert found["by_source"]["y"]["wrong_accepted"] == 0.0
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [(row["i"], row["accept"]) for row in rows] == [(0, True), (1, True), (2, False)]
    assert all(0 <= row["p_same"] <= 1 for row in rows)


def test_a_stream(app: typer.Typer, tmp_path: Path) -> None:
    """Every query is inserted; a hit names the entry served, and is right in its own group."""
    rows = [
        {"q": FRANCE, "group": "f"},
        {"q": "What is the capital of Germany?", "group": "g"},
        {"q": "What's the capital city of France?", "group": "f"},
        {"q": "what is the capital of france?", "group": "f"},
        {"q": "what is the capital of germany?", "group": "other"},
    ]
    out, data = tmp_path / "v.jsonl", tmp_path / "s.jsonl.gz"
    data.write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode()))
    done = run(app, "--stream", data, "--json", "--verdicts-out", out)
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout) == {"n": 5, "hit_rate": 0.6, "precision": 0.66667}
    verdicts = [json.loads(line) for line in out.read_text().splitlines()]
    assert verdicts == [
        {"i": 0, "hit_i": None}, {"i": 1, "hit_i": None}, {"i": 2, "hit_i": 0},
        {"i": 3, "hit_i": 0}, {"i": 4, "hit_i": 1},
    ]  # fmt: skip


def test_a_shared_scope_serves_nobody_anothers_answer(app: typer.Typer, tmp_path: Path) -> None:
    """With --shared-scope, "my" questions are exact only."""
    pair = {"a": "Where is my order?", "b": "Where's my order?", "same": 1, "source": "x"}
    data = write(tmp_path / "p.jsonl", [pair])
    assert json.loads(run(app, "--pairs", data, "--json").stdout)["all"]["recall"] == 1.0
    shared = run(app, "--pairs", data, "--json", "--shared-scope")
    assert json.loads(shared.stdout)["all"]["recall"] == 0.0


def test_people_get_a_table(app: typer.Typer, tmp_path: Path) -> None:
    """Without --json, a line a source."""
    done = run(app, "--pairs", write(tmp_path / "p.jsonl", PAIRS))
    assert "wrong accepted" in done.stdout
    assert "1.000" in done.stdout


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([{"a": "x", "b": "y", "same": 2}], "line 1: `same` must be 0 or 1"),
        ([{"a": "x", "same": 1}], "line 1: has no text in `b`"),
        (["text"], "line 1: is not an object"),
        ([], "has no rows"),
    ],
)
def test_a_bad_file_is_told_by_line(
    app: typer.Typer, tmp_path: Path, rows: list[Any], words: str
) -> None:
    """What is wrong, and where; exit code 2."""
    done = run(app, "--pairs", write(tmp_path / "p.jsonl", rows))
    assert done.exit_code == 2
    assert words in done.output


def test_one_of_pairs_and_stream_is_needed(app: typer.Typer, tmp_path: Path) -> None:
    """Neither or both is a wrong usage, and a file that is not there is told."""
    assert run(app).exit_code == 2
    done = run(app, "--pairs", tmp_path / "none.jsonl")
    assert done.exit_code == 2
    assert "cannot be read" in done.output
