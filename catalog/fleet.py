"""Everything a process needs to know about models, read from one file."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from catalog.config import embedded_config, load_config
from catalog.models import Models
from catalog.prices import PriceBook, Unpriced
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

    def baseline_model(self, at: datetime) -> str | None:
        """The model that savings by routing are told against, by name.

        None when the operator named none, or its price at that moment is not known: then there
        is nothing to tell.
        """
        name = self.config.baseline_model
        if name is None:
            return None
        try:
            self.book.price(name, at)
        except Unpriced:
            return None
        return name


def load_fleet(path: Path | None) -> Fleet:
    """Read and check a fleet file; None stands for the built-in one of an empty directory.

    Takes about a fifth of a second: for the start of a process. Raises ConfigError.
    """
    return Fleet.of(embedded_config() if path is None else load_config(path))
