"""The compiled half of the harness: built once, then run."""

import contextlib
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SOURCE = Path(__file__).parent / "generator"
CALL_SECONDS_MARGIN = 90


class NoToolchain(Exception):
    """Go is not installed."""


class Generator:
    """Makes load, and stands for the provider."""

    def __init__(self, binary: Path) -> None:
        self._binary = binary

    @staticmethod
    def build(folder: Path) -> "Generator":
        """Builds it into `folder`. Raises: NoToolchain; CalledProcessError."""
        go = shutil.which("go")
        if go is None:
            raise NoToolchain
        binary = folder / "load"
        subprocess.run([go, "build", "-o", str(binary), "."], cwd=SOURCE, check=True)
        return Generator(binary)

    @contextlib.contextmanager
    def upstream(self, answer: Path, *options: str) -> Iterator[str]:
        """The static provider while the block runs; its host:port."""
        process = subprocess.Popen(
            [self._binary, "upstream", "--answer", answer, *options],
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert process.stdout is not None
            yield json.loads(process.stdout.readline())["address"]
        finally:
            process.terminate()
            process.wait()

    def load(self, kind: str, seconds: float, **options: object) -> dict[str, Any]:
        """One round of `kind`, "http" or "grpc". Keys of `options` are the generator's flags.

        Raises: CalledProcessError.
        """
        flags = [f"--{name}={_told(value)}" for name, value in options.items()]
        done = subprocess.run(
            [self._binary, kind, f"--seconds={seconds}", *flags],
            stdout=subprocess.PIPE,
            check=True,
            timeout=seconds + CALL_SECONDS_MARGIN,
        )
        told: dict[str, Any] = json.loads(done.stdout)
        return told


def _told(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
