"""The router as a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


def run(**environ: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("SPENDGATE_")}
    return subprocess.run(
        [sys.executable, "-m", "services.router", "--check"],
        cwd=ROOT,
        env=clean | environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_check_reads_the_file_and_serves_nothing(tmp_path: Path) -> None:
    """--check passes a sound file and says how many models it found."""
    done = run()
    assert (done.returncode, done.stdout) == (0, "router: 4 models, no problem\n")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("models: {m: {provder: p}}", "models.m.provder: unknown key, did you mean provider?"),
        (
            "providers: {p: {base_url: http://x}}\n"
            "models: {m: {provider: p, priced_as: openai/gpt-4p}}",
            "models.m.priced_as: is not in the catalogue, did you mean openai/gpt-4?",
        ),
    ],
)
def test_check_tells_every_problem(tmp_path: Path, text: str, problem: str) -> None:
    """--check refuses a broken file with its problems, one a line, and no traceback."""
    path = tmp_path / "fleet.yaml"
    path.write_text(text)
    done = run(SPENDGATE_CONFIG=str(path))
    assert done.returncode == 78
    assert problem in done.stderr
    assert "Traceback" not in done.stderr
