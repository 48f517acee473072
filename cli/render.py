"""A report as plain text and as Markdown."""

from collections.abc import Sequence

from cli.document import Bars, Document, Facts, Notes, Part, Table

BAR_CHARS = 40
# What Markdown would read as its own.
_MARKS = str.maketrans({sign: f"\\{sign}" for sign in "\\`*_|<>[]#"})


def as_text(document: Document) -> str:
    """For terminals and plain mail."""
    lines = [document.title, "=" * len(document.title), "", document.summary]
    for part in document.parts:
        lines += ["", *_text_part(part)]
    return "\n".join(lines) + "\n"


def as_markdown(document: Document) -> str:
    """For chats, issues and wikis."""
    lines = [f"# {_plain(document.title)}", "", _plain(document.summary)]
    for part in document.parts:
        lines += ["", *_markdown_part(part)]
    return "\n".join(lines) + "\n"


def _text_part(part: Part) -> list[str]:
    match part:
        case Facts():
            width = max((len(label) for label, _ in part.rows), default=0)
            return [f"{label.ljust(width)}  {value}" for label, value in part.rows]
        case Notes():
            return [part.title, *(f"- {line}" for line in part.lines or ["nothing"])]
        case Bars():
            most = max((amount for _, amount, _ in part.rows), default=0)
            width = max((len(label) for label, _, _ in part.rows), default=0)
            return [
                part.title,
                *(
                    f"{label.ljust(width)}  {_bar(amount, most)} {text}".rstrip()
                    for label, amount, text in part.rows
                ),
            ]
        case Table():
            if not part.rows:
                return [part.title, part.empty]
            rows = [part.headers, *part.rows]
            widths = [max(len(row[place]) for row in rows) for place in range(len(part.headers))]
            left = len(part.headers) - part.right
            return [part.title, *(_line(row, widths, left) for row in rows)]


def _line(row: Sequence[str], widths: Sequence[int], left: int) -> str:
    cells = [
        cell.ljust(width) if place < left else cell.rjust(width)
        for place, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]
    return "  ".join(cells).rstrip()


def _bar(amount: int, most: int) -> str:
    length = amount * BAR_CHARS // most if most > 0 else 0
    return "█" * max(length, 1 if amount > 0 else 0)


def _markdown_part(part: Part) -> list[str]:
    match part:
        case Facts():
            rows = [f"| {_plain(label)} | {_plain(value)} |" for label, value in part.rows]
            return ["| | |", "|---|---:|", *rows]
        case Notes():
            lines = [f"- {_plain(line)}" for line in part.lines or ["nothing"]]
            return [f"## {_plain(part.title)}", "", *lines]
        case Bars():
            return [f"## {_plain(part.title)}", "", "```", *_text_part(part)[1:], "```"]
        case Table():
            title = [f"## {_plain(part.title)}", ""]
            if not part.rows:
                return [*title, _plain(part.empty)]
            left = len(part.headers) - part.right
            marks = ["---" if place < left else "---:" for place in range(len(part.headers))]
            return [
                *title,
                *(_row(row) for row in (part.headers,)),
                f"|{'|'.join(marks)}|",
                *(_row(row) for row in part.rows),
            ]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(_plain(cell) for cell in cells)} |"


def _plain(text: str) -> str:
    """Names come from callers: they must not become markup."""
    return " ".join(text.split()).translate(_MARKS)
