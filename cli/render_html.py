"""A report as one HTML file that needs nothing else: no script, no address outside of it."""

from collections.abc import Sequence
from html import escape

from cli.document import Bars, Document, Facts, Notes, Part, Table

BAR_HEIGHT, BAR_GAP, BAR_WIDTH, LABEL_WIDTH, TEXT_WIDTH = 18, 6, 420, 150, 110

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --bar: #3b6fd4; --dim: #777; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin-bottom: .25rem; }
h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
p.summary { color: var(--dim); margin-top: 0; }
table { border-collapse: collapse; width: 100%; }
th, td { padding: .3rem .6rem; border-bottom: 1px solid var(--line); text-align: left;
  vertical-align: top; overflow-wrap: anywhere; }
th { font-weight: 600; color: var(--dim); }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
dl { display: grid; grid-template-columns: repeat(auto-fill, minmax(11rem, 1fr)); gap: 1rem; }
dt { color: var(--dim); font-size: .85rem; } dd { margin: 0; font-size: 1.25rem; }
svg { max-width: 100%; height: auto; } svg text { font: 12px system-ui, sans-serif;
  fill: currentColor; } svg rect { fill: var(--bar); }
"""


def as_html(document: Document) -> str:
    """The whole file."""
    parts = "\n".join(_part(part) for part in document.parts)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(document.title)}</title>\n<style>{_STYLE}</style></head>\n<body>\n"
        f"<h1>{escape(document.title)}</h1>\n"
        f'<p class="summary">{escape(document.summary)}</p>\n{parts}\n</body></html>\n'
    )


def _part(part: Part) -> str:
    match part:
        case Facts():
            rows = "".join(
                f"<div><dt>{escape(label)}</dt><dd>{escape(value)}</dd></div>"
                for label, value in part.rows
            )
            return f"<dl>{rows}</dl>"
        case Notes():
            rows = "".join(f"<li>{escape(line)}</li>" for line in part.lines or ["nothing"])
            return f"<h2>{escape(part.title)}</h2><ul>{rows}</ul>"
        case Bars():
            return f"<h2>{escape(part.title)}</h2>{_svg(part)}"
        case Table():
            title = f"<h2>{escape(part.title)}</h2>"
            if not part.rows:
                return f"{title}<p>{escape(part.empty)}</p>"
            left = len(part.headers) - part.right
            head = _cells("th", part.headers, left)
            body = "".join(f"<tr>{_cells('td', row, left)}</tr>" for row in part.rows)
            return f"{title}<table><thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table>"


def _cells(tag: str, cells: Sequence[str], left: int) -> str:
    return "".join(
        f"<{tag}{' class=n' if place >= left else ''}>{escape(cell)}</{tag}>"
        for place, cell in enumerate(cells)
    )


def _svg(bars: Bars) -> str:
    most = max((amount for _, amount, _ in bars.rows), default=0)
    step = BAR_HEIGHT + BAR_GAP
    drawn = []
    for place, (label, amount, text) in enumerate(bars.rows):
        top, width = place * step, amount * BAR_WIDTH // most if most > 0 else 0
        base = top + BAR_HEIGHT - 5
        width = max(width, 1 if amount > 0 else 0)
        drawn.append(
            f'<text x="{LABEL_WIDTH - 8}" y="{base}" text-anchor="end">{escape(label)}</text>'
            f'<rect x="{LABEL_WIDTH}" y="{top}" width="{width}" height="{BAR_HEIGHT}" rx="2"/>'
            f'<text x="{LABEL_WIDTH + width + 6}" y="{base}">{escape(text)}</text>'
        )
    wide, high = LABEL_WIDTH + BAR_WIDTH + TEXT_WIDTH, max(1, len(bars.rows)) * step
    return (
        f'<svg viewBox="0 0 {wide} {high}" width="{wide}" height="{high}" role="img"'
        f' aria-label="{escape(bars.title)}">{"".join(drawn)}</svg>'
    )
