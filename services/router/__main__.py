"""`python -m services.router` serves until told to stop; `--check` only reads the fleet file."""

import sys

from chassis.server import main
from services.router.dry_run import dry_run
from services.router.settings import RouterSettings
from services.router.wiring import build

if __name__ == "__main__":
    if sys.argv[1:] == ["--check"]:
        sys.exit(dry_run())
    main("router", RouterSettings, build)
