"""How tenants share a gateway that has more to do than it can: the fleet file's part of it."""

from typing import Annotated

from pydantic import Field

from catalog.shapes import Name, Section

WEIGHT_MAX = 1_000


class AdmissionConfig(Section):
    """Who gets how much of a busy gateway. While there is room for all, everybody gets all."""

    weights: dict[Name, Annotated[int, Field(ge=1, le=WEIGHT_MAX)]] = Field(
        default={}, max_length=4096
    )
    """By the tenant's name: a tenant of weight 3 gets three times the places of one of weight 1.
    Who is not named weighs 1."""
