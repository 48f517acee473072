"""`python -m services.router.training.train DATA.jsonl[.gz] OUT.npz`: makes the shipped prior."""

import gzip
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from services.router.learn.prior import FILE_BYTES_MAX
from services.router.training.fit import fit_prior, packed

# What may be shipped in a product: a row under any other licence is left out.
LICENCES = frozenset({"MIT", "Apache-2.0", "CC-BY-4.0"})


def rows_of(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a JSON Lines file, gzip or not. Raises OSError, ValueError."""
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            if line.strip():
                yield json.loads(line)


def train(data: Path, out: Path) -> str:
    """Writes the file; gives a line about it. Raises ValueError when it came out too large."""
    rows = [row for row in rows_of(data) if row["license"] in LICENCES and row["scores"]]
    content = packed(fit_prior(rows))
    if len(content) > FILE_BYTES_MAX:
        raise ValueError(f"the prior takes {len(content)} bytes, allowed are {FILE_BYTES_MAX}")
    out.write_bytes(content)
    return f"{len(rows)} rows, {len(content)} bytes"


if __name__ == "__main__":
    sys.stdout.write(train(Path(sys.argv[1]), Path(sys.argv[2])) + "\n")
