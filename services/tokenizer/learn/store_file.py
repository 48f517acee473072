"""Keeps what was learned in a folder, a file a model: numbers and hashes of request ids.

A file is written whole beside the old one and then takes its place, so a crash leaves one of
the two. Files of models that were forgotten are removed.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from services.tokenizer.estimate import Family
from services.tokenizer.learn.pair import Pair

_VERSION = 1
_NAME_BYTES = 16


class RatioStore:
    """The folder. All methods do IO: call them from a worker, one at a time. Raises OSError."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def load(self) -> Iterator[tuple[str, Family, list[Pair]] | None]:
        """Every model's family and calls; None for a file that cannot be used."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for path in sorted(self._folder.glob("*.json"), key=lambda each: each.stat().st_mtime):
            try:
                yield _read(json.loads(path.read_text(encoding="utf-8")))
            except (ValueError, TypeError, KeyError):
                yield None

    def save(self, model: str, family: Family, pairs: Iterable[Pair]) -> None:
        """Keeps a model's calls instead of those kept before; on the disk when it returns."""
        content = {
            "version": _VERSION,
            "model": model,
            "family": family.value,
            "pairs": [list(pair) for pair in pairs],
        }
        path = self._path(model)
        fresh = path.with_suffix(".new")
        with fresh.open("w", encoding="utf-8") as out:
            json.dump(content, out, separators=(",", ":"))
            out.flush()
            os.fsync(out.fileno())
        fresh.replace(path)

    def forget(self, model: str) -> None:
        """Removes what was kept of a model, if anything was."""
        self._path(model).unlink(missing_ok=True)

    def _path(self, model: str) -> Path:
        # A model's name is no file's name.
        name = hashlib.blake2b(model.encode(), digest_size=_NAME_BYTES).hexdigest()
        return self._folder / f"{name}.json"


def _read(content: Any) -> tuple[str, Family, list[Pair]]:
    if content["version"] != _VERSION:
        raise ValueError
    model, family = content["model"], Family(content["family"])
    pairs = [Pair(*pair) for pair in content["pairs"]]
    for pair in pairs:
        if not all(type(value) is int and value >= 0 for value in pair[:-1]):
            raise ValueError
        if not isinstance(pair.request, str):
            raise TypeError
    if not isinstance(model, str):
        raise TypeError
    return model, family, pairs
