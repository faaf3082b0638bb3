"""Pictures in rows and columns, each beside what it is compared with."""

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

from torch import Tensor

from render3d.errors import ShapeError
from render3d.report.html import Html
from render3d.report.pictures import picture

_WIDTH = 880  # of all columns, about, on a wide screen
_NONE = '<div class="none">–</div>'  # noqa: RUF001  # a dash in print


class Row(NamedTuple):
    """One row of `grid`.

    Attributes:
        title: What its pictures show.
        pictures: ``[3 or 1, H, W]`` float, linear light, one a column; None where there is none.
        note: How to read them, such as a scale.
    """

    title: str
    pictures: Sequence[Tensor | None]
    note: Html = Html("")


def grid(columns: Sequence[str], rows: Sequence[Row]) -> Html:
    """Rows of pictures under the names of the columns; a dash where there is no picture."""
    cells = ["<div></div>", *(f'<div class="head">{escape(name)}</div>' for name in columns)]
    for row in rows:
        if len(row.pictures) != len(columns):
            raise ShapeError(f"{row.title!r} must have {len(columns)} pictures, one a column; got {len(row.pictures)}.")
        cells.append(f'<div class="label"><b>{escape(row.title)}</b>{row.note}</div>')
        for name, image in zip(columns, row.pictures, strict=True):
            cells.append(_NONE if image is None else _cell(image, f"{name}: {row.title}", len(columns)))
    return Html(f'<div class="grid" style="--columns: {len(columns)}">\n' + "\n".join(cells) + "\n</div>")


def _cell(image: Tensor, alt: str, columns: int) -> str:
    # Small ones show their pixels; of large ones, those of the screen are means, so that no thin line is left out.
    kind = ' class="pixels"' if image.shape[-1] <= _WIDTH / columns else ""
    return f'<div><img{kind} src="{picture(image)}" alt="{escape(alt)}"></div>'
