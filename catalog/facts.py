"""What models can do and how much they write: our own small table, dated and with sources."""

from datetime import date
from functools import cache
from importlib.resources import files

import yaml
from pydantic import BaseModel, ConfigDict, TypeAdapter

from catalog.schema import Capability
from catalog.vendor_names import vendor_name


class Fact(BaseModel):
    """One row of facts.yaml. An absent number is not known."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    match: tuple[str, ...]
    capabilities: frozenset[Capability]
    context_window_tokens: int | None = None
    output_tokens_max: int | None = None
    checked: date
    source: str

    def fits(self, model: str) -> bool:
        """Whether the row is about this published name; a trailing * stands for any rest."""
        return any(
            model.startswith(pattern[:-1]) if pattern.endswith("*") else model == pattern
            for pattern in self.match
        )


@cache
def facts() -> tuple[Fact, ...]:
    """The whole table, read once."""
    text = files("catalog").joinpath("facts.yaml").read_text(encoding="utf-8")
    return TypeAdapter(tuple[Fact, ...]).validate_python(yaml.safe_load(text))


def fact_about(model: str) -> Fact | None:
    """The row about a published name such as "gpt-5.4" or "openai/gpt-5.4", None when none is."""
    name = vendor_name(model)
    return next((fact for fact in facts() if fact.fits(name)), None)
