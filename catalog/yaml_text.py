"""YAML as an operator writes it: decimal numbers stay decimal, a key given twice is noticed."""

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

import yaml

Path = tuple[str, ...]


class _Loader(yaml.SafeLoader):
    """The safe loader, with decimal numbers kept as they are written."""


def _decimal(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> Any:
    text = str(loader.construct_scalar(node)).replace("_", "")
    try:
        return Decimal(text)
    except InvalidOperation:
        return text  # .inf, .nan and base-60 numbers: the schema says what belongs here


_Loader.add_constructor("tag:yaml.org,2002:float", _decimal)


def read(text: str) -> tuple[Any, Mapping[Path, int], list[str]]:
    """The document, the line of every key by its path, and the keys that are given twice.

    Raises yaml.YAMLError when the text is not YAML.
    """
    loader = _Loader(text)
    lines: dict[Path, int] = {}
    twice: list[str] = []
    try:
        node = loader.get_single_node()
        if node is None:
            return None, lines, twice
        _walk(node, (), lines, twice, set())
        return loader.construct_document(node), lines, twice
    finally:
        loader.dispose()


def _walk(
    node: yaml.Node, path: Path, lines: dict[Path, int], twice: list[str], seen: set[int]
) -> None:
    if id(node) in seen:  # an alias: its keys were noted where they are written
        return
    seen.add(id(node))
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            here = (*path, str(key.value))
            if here in lines:
                twice.append(".".join(here))
            lines[here] = key.start_mark.line + 1
            _walk(value, here, lines, twice, seen)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            here = (*path, str(index))
            lines[here] = item.start_mark.line + 1
            _walk(item, here, lines, twice, seen)
