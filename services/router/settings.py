"""What the router can be told."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from chassis.settings import ServiceSettings


class RouterSettings(ServiceSettings):
    """Settings of the router; models and providers are in the fleet file."""

    config: Path | None = None
    """The fleet file. Default: the built-in one, with a small local model."""
    reload_seconds: Annotated[float, Field(gt=0, le=3600)] = 2.0
    """How often it is looked whether the fleet file has changed; then it is read again."""
    outcomes_file: Path | None = None
    """Where tenants' outcomes are kept, as vectors and numbers. Default: as long as it runs."""
