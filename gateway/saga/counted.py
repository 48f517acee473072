"""By which name, and with which vocabulary, the tokenizer counts for a model."""

from dataclasses import dataclass

from catalog.fleet import Fleet
from catalog.prices import UnknownModel


@dataclass(frozen=True, slots=True)
class CountedAs:
    """`model` tells the vocabulary, unless the operator named an `encoding`."""

    model: str
    encoding: str = ""


def counted_as(fleet: Fleet, model: str) -> CountedAs:
    """For a model of the fleet file, by name or alias; any other is counted as what it is called.

    A model whose encoding the operator named goes by the name that its provider gives it.
    """
    try:
        name = fleet.book.name_of(model)
    except UnknownModel:
        return CountedAs(model)
    configured = fleet.config.models[name]
    upstream = configured.upstream_model or name
    if configured.encoding is not None:
        return CountedAs(upstream, configured.encoding.value)
    if configured.priced_as is not None:
        return CountedAs(configured.priced_as.partition("/")[2])
    return CountedAs(upstream)
