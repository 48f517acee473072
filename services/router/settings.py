"""What the router can be told."""

from pathlib import Path

from chassis.settings import ServiceSettings


class RouterSettings(ServiceSettings):
    """Settings of the router; models and providers are in the fleet file."""

    config: Path | None = None
    """The fleet file. Default: the built-in one, with a small local model."""
    outcomes_file: Path | None = None
    """Where tenants' outcomes are kept, as vectors and numbers. Default: as long as it runs."""
