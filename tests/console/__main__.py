"""The fleet of these tests, kept running to look at: python -m tests.console [FOLDER]."""

import asyncio
import sys
import tempfile
from pathlib import Path

from tests.console.fleet import ConsoleHouse


async def main() -> None:
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp())
    async with ConsoleHouse(folder) as house:
        sys.stdout.write("\n".join([house.console, house.admin, house.viewer, house.caller, ""]))
        sys.stdout.flush()
        await asyncio.Event().wait()


asyncio.run(main())
