"""Pages and their parts. Text that comes in is escaped; what comes out is `Html`."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, NewType
from urllib.parse import quote

from render3d.renderers.base import Renderer
from render3d.report.style import STYLE
from render3d.runs.provenance import provenance

Html = NewType("Html", str)
"""Markup that is safe to put into a page."""

_HYPHEN = "\u2011"  # at which no line breaks

Cell = str | int | float | None


def page(title: str, lead: str, *parts: Html) -> str:
    """A whole page, to be written as UTF-8."""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n"
        f'<h1>{escape(title)}</h1>\n<p class="lead">{escape(lead)}</p>\n' + "\n".join(parts) + "\n</body>\n</html>\n"
    )


def section(title: str, *parts: Html) -> Html:
    """Parts under a heading."""
    return Html(f"<section>\n<h2>{escape(title)}</h2>\n" + "\n".join(parts) + "\n</section>")


def columns(*parts: Html) -> Html:
    """Parts side by side, where the window is wide enough."""
    return Html('<div class="columns">\n' + "\n".join(f"<div>{part}</div>" for part in parts) + "\n</div>")


def captioned(part: Html, caption: str) -> Html:
    """A part with words under it."""
    return Html(f"<div>{part}<p>{escape(caption)}</p></div>")


def paragraph(text: str) -> Html:
    """A paragraph."""
    return Html(f"<p>{escape(text)}</p>")


def table(
    heads: Sequence[str], rows: Sequence[Sequence[Cell]], *, chosen: int | None = None, words: bool = False
) -> Html:
    """A table; fractions show four decimals, None a dash, and the row number ``chosen`` stands out.

    ``words`` aligns it for text rather than for numbers.
    """
    head = "".join(f"<th>{escape(text)}</th>" for text in heads)
    body = []
    for number, row in enumerate(rows):
        mark = ' class="chosen"' if number == chosen else ""
        body.append(f"<tr{mark}>" + "".join(f"<td>{escape(_text(cell))}</td>" for cell in row) + "</tr>")
    kind = ' class="words"' if words else ""
    return Html(f"<table{kind}>\n<thead><tr>{head}</tr></thead>\n<tbody>\n" + "\n".join(body) + "\n</tbody>\n</table>")


def figures(
    columns: Mapping[str, tuple[str, str]], rows: Mapping[str, Mapping[str, Any]], *, corner: str = "", **look: Any
) -> Html:
    """Return a table of figures, each as text on one line; a dash where there is none.

    Args:
        columns: By title, the name of the figure and the format it is written in, such as ``".2f"``.
        rows: Figures by name, by the title of the row.
        corner: Above the titles of the rows.
        look: As in `table`.
    """
    cells = [
        [title, *(_number(found.get(name), style) for name, style in columns.values())] for title, found in rows.items()
    ]
    return table([corner, *columns], cells, **look)


def facts(values: Mapping[str, object]) -> Html:
    """Names and values in two columns."""
    rows = "\n".join(f"<dt>{escape(name)}</dt><dd>{escape(str(value))}</dd>" for name, value in values.items())
    return Html(f"<dl>\n{rows}\n</dl>")


def how_made(settings: Mapping[str, object], renderer: Renderer | None = None) -> Html:
    """The last section of most pages: what was asked for, beside where and with what it was made; see `provenance`."""
    return section("How it was made", columns(facts(settings), facts(provenance(renderer))))


def links(targets: Mapping[str, str]) -> Html:
    """A list of links by their text, to files beside the page: relative paths with ``/``."""
    items = "".join(f'<li><a href="{quote(target)}">{escape(text)}</a></li>' for text, target in targets.items())
    return Html(f"<ul>{items}</ul>")


def _number(value: float | None, style: str) -> str | None:
    return None if value is None else format(value, style).replace("-", _HYPHEN)


def _text(cell: Cell) -> str:
    if cell is None:
        return "–"  # noqa: RUF001  # a dash in print
    return f"{cell:.4f}" if isinstance(cell, float) else str(cell)
