"""A report as its parts, before anybody knows how it will be shown."""

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Facts:
    """Labels with values."""

    rows: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under headers. `right`: how many of the last columns are numbers."""

    title: str
    headers: Sequence[str]
    rows: Sequence[Sequence[str]]
    right: int = 0
    empty: str = "nothing"


@dataclass(frozen=True, slots=True)
class Bars:
    """Amounts side by side: (label, amount, what to print). Amounts are whole numbers."""

    title: str
    rows: Sequence[tuple[str, int, str]]


@dataclass(frozen=True, slots=True)
class Notes:
    """Sentences, one a line."""

    title: str
    lines: Sequence[str]


Part = Facts | Table | Bars | Notes


@dataclass(frozen=True, slots=True)
class Document:
    """A report. `summary` is one sentence for who reads no further."""

    title: str
    summary: str
    parts: Sequence[Part] = field(default_factory=tuple)
