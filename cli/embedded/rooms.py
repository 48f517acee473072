"""The services by name: their settings and what builds them."""

import importlib
from dataclasses import dataclass
from typing import Any

from chassis.server import Build
from chassis.settings import ServiceSettings


@dataclass(frozen=True, slots=True)
class RoomKind:
    """A service that can be run."""

    settings: type[ServiceSettings]
    build: Build[Any]
    starts_traces: bool


def settings_of(name: str) -> type[ServiceSettings]:
    """The settings class of a service, whatever it is called. Imports no more than that."""
    module = importlib.import_module(f"{package_of(name)}.settings")
    for found in vars(module).values():
        if (
            isinstance(found, type)
            and issubclass(found, ServiceSettings)
            and found is not ServiceSettings
        ):
            return found
    raise LookupError(f"{module.__name__} has no settings")


def room_of(name: str) -> RoomKind:
    """All of a service."""
    build = importlib.import_module(f"{package_of(name)}.wiring").build
    return RoomKind(settings_of(name), build, starts_traces=name == "gateway")


def package_of(name: str) -> str:
    """The package of the service."""
    return "gateway" if name == "gateway" else f"services.{name}"
