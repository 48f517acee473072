"""`python -m services.router` serves until told to stop; `--check` only reads the fleet file."""

import os
import sys

# Before numpy comes: products of a few thousand numbers are over before a second thread has
# woken, and a busy core makes the first wait for it.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from chassis.server import main
from services.router.dry_run import dry_run
from services.router.settings import RouterSettings
from services.router.wiring import build

if __name__ == "__main__":
    if sys.argv[1:] == ["--check"]:
        sys.exit(dry_run())
    main("router", RouterSettings, build)
