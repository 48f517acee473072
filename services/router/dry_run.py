"""Reads settings and fleet file as a start would, says what is wrong, and serves nothing."""

import os
import sys
from collections.abc import Mapping

from catalog.config import ConfigError
from catalog.fleet import load_fleet
from chassis.server import EXIT_SETTINGS
from chassis.settings import SettingsError
from services.router.settings import RouterSettings


def dry_run(environ: Mapping[str, str] | None = None) -> int:
    """The exit code: 0 when a start would succeed, else EX_CONFIG with every problem told."""
    try:
        settings = RouterSettings.from_env(os.environ if environ is None else environ)
        fleet = load_fleet(settings.config)
    except SettingsError as error:
        problems = error.problems
    except ConfigError as error:
        problems = [f"{error.source}: {problem}" for problem in error.problems]
    else:
        sys.stdout.write(f"router: {len(fleet.models.all())} models, no problem\n")
        return 0
    sys.stderr.writelines(f"router: {problem}\n" for problem in problems)
    return EXIT_SETTINGS
