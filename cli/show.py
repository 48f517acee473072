"""What commands print: for people by rich, for programs as one JSON document."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from google.protobuf.message import Message
    from rich.console import Console

WIDTH_WITHOUT_TERMINAL = 160


def console(*, markup: bool = False) -> "Console":
    """Standard output, wide enough for a table also when it is no terminal.

    `markup` is for texts of ours only: in what others wrote, brackets are brackets.
    """
    from rich.console import Console

    made = Console(highlight=False, markup=markup)
    if made.is_terminal:
        return made
    return Console(highlight=False, markup=markup, width=WIDTH_WITHOUT_TERMINAL)


def print_json(content: Any) -> None:
    """One JSON document on standard output."""
    print(json.dumps(content, indent=2, ensure_ascii=False))


def as_dict(message: "Message") -> dict[str, Any]:
    """A message as its JSON mapping has it: lowerCamel names, int64 as text."""
    from google.protobuf.json_format import MessageToDict

    return dict(MessageToDict(message, always_print_fields_with_no_presence=True))


def print_table(headers: Sequence[str], rows: Sequence[Sequence[str]], right: str = "") -> None:
    """A plain table; columns whose place in `right` is "r" are flush right."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2), header_style="dim")
    for place, header in enumerate(headers):
        flush = right[place : place + 1] == "r"
        table.add_column(header, justify="right" if flush else "left", overflow="fold")
    for row in rows:
        table.add_row(*row)
    console().print(table)
