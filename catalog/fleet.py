"""Everything a process needs to know about models, read from one file."""

from dataclasses import dataclass
from pathlib import Path

from catalog.config import embedded_config, load_config
from catalog.models import Models
from catalog.prices import PriceBook
from catalog.schema import FleetConfig


@dataclass(frozen=True, slots=True)
class Fleet:
    """The fleet file, and what follows from it together with the published catalogue."""

    config: FleetConfig
    book: PriceBook
    models: Models

    @classmethod
    def of(cls, config: FleetConfig) -> "Fleet":
        """What follows from a checked file. Raises ConfigError for an unknown `priced_as`."""
        book = PriceBook(config)
        return cls(config, book, Models(config, book))


def load_fleet(path: Path | None) -> Fleet:
    """Read and check a fleet file; None stands for the built-in one of an empty directory.

    Takes about a fifth of a second: for the start of a process. Raises ConfigError.
    """
    return Fleet.of(embedded_config() if path is None else load_config(path))
