"""The console's files, read once: they are built from console/ and are part of the package."""

import gzip
import hashlib
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent / "static"
INDEX = "index.html"

_KINDS = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
    ".txt": "text/plain; charset=utf-8",
}
_PACKED = frozenset({".html", ".js", ".css", ".svg", ".txt"})


@dataclass(frozen=True, slots=True)
class Asset:
    """A file. `packed` is its gzip form, None where that would not be smaller."""

    content: bytes
    packed: bytes | None
    kind: str
    etag: str


def load_assets(folder: Path = FOLDER) -> dict[str, Asset]:
    """Every file by its name. Raises: OSError; KeyError for a kind that browsers are not told."""
    found = {}
    for path in sorted(folder.iterdir()):
        content = path.read_bytes()
        packed = gzip.compress(content, 9, mtime=0) if path.suffix in _PACKED else None
        etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
        found[path.name] = Asset(content, packed, _KINDS[path.suffix], etag)
    return found
