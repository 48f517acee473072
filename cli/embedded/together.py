"""Several services in one process: `python -m cli.embedded.together tokenizer cache gateway`.

Each keeps its port and its health. Calls from the gateway to its neighbours need no wire
(chassis/local.py). SPENDGATE_<NAME>_ADDRESS says where a neighbour listens, SPENDGATE_LISTEN where
the last one does.
"""

import os
import sys
from collections.abc import Mapping, Sequence

# Before numpy comes, as in services/router/__main__.py.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from chassis.local import LOCAL
from chassis.server import Part, run
from chassis.settings import PREFIX, ServiceSettings, SettingsError
from cli.embedded.rooms import room_of

NAME = "together"


def main(names: Sequence[str], environ: Mapping[str, str]) -> None:
    """Runs the services until told to stop; the last one is told all the others' places."""
    parts, problems = [], []
    for name in names:
        room = room_of(name)
        try:
            settings = room.settings.from_env(its_own(name, names, environ, room.settings))
        except SettingsError as error:
            problems += [f"{name}: {problem}" for problem in error.problems]
            continue
        parts.append(Part(name, settings, room.build, room.starts_traces))
    if problems:
        sys.exit("\n".join(problems))
    run(NAME, parts)


def its_own(
    name: str, names: Sequence[str], environ: Mapping[str, str], settings: type[ServiceSettings]
) -> dict[str, str]:
    """What the service `name` is told of the process's environment."""
    known = settings.variables().keys() | settings.foreign
    own = {each: value for each, value in environ.items() if each in known}
    own |= {each: value for each, value in environ.items() if not each.startswith(PREFIX)}
    for neighbour in names[:-1]:
        place = f"{PREFIX}{neighbour.upper()}_ADDRESS"
        if neighbour == name:
            own[f"{PREFIX}LISTEN"] = environ[place]
        elif place in known:
            own[place] = LOCAL
    return own


if __name__ == "__main__":
    main(sys.argv[1:], os.environ)
