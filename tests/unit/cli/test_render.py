"""Reports as text, Markdown and HTML."""

from html.parser import HTMLParser

import pytest

from cli.document import Bars, Document, Facts, Notes, Table
from cli.render import as_markdown, as_text
from cli.render_html import as_html

EVIL = '<img src=x onerror="1"> | `a` *b* [c](http://d)'
DOCUMENT = Document(
    f"Title {EVIL}",
    "One sentence.",
    [
        Facts([("Cost", "$1.00"), (EVIL, "2")]),
        Table("By feature", ["feature", "cost"], [["chat", "$1.00"], [EVIL, "$22.00"]], right=1),
        Table("Nothing here", ["a"], [], empty="nothing was booked"),
        Bars("By hour", [("00:00", 0, "$0"), ("01:00", 50, "$0.5"), ("02:00", 100, "$1")]),
        Notes("Alerts", []),
    ],
)


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))


def test_a_page_needs_nothing_else_and_runs_nothing() -> None:
    """No script, no link, no picture from elsewhere; names of callers stay text."""
    tags = _Tags()
    tags.feed(as_html(DOCUMENT))
    names = {tag for tag, _ in tags.seen}
    assert not names & {"script", "img", "link", "a", "iframe"}
    assert not [a for _, attributes in tags.seen for a in attributes if a in ("src", "href")]
    widths = [int(str(a["width"])) for tag, a in tags.seen if tag == "rect"]
    assert widths == [0, 210, 420]


@pytest.mark.parametrize("render", [as_text, as_markdown, as_html])
def test_every_part_is_there_in_every_form(render) -> None:
    """Also those that are empty."""
    shown = render(DOCUMENT)
    for words in ("One sentence.", "$22.00", "nothing was booked", "By hour", "nothing"):
        assert words in shown


def test_a_name_does_not_break_a_markdown_table() -> None:
    """A bar in it is no column."""
    rows = [line for line in as_markdown(DOCUMENT).splitlines() if "$22.00" in line]
    assert len(rows) == 1
    assert rows[0].replace("\\|", "").count("|") == 3


def test_numbers_stand_flush_right() -> None:
    """In text too."""
    lines = as_text(DOCUMENT).splitlines()
    chat = next(line for line in lines if line.startswith("chat"))
    other = next(line for line in lines if line.endswith("$22.00"))
    assert len(chat) == len(other)
