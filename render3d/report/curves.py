"""Curves as SVG, drawn by hand: axes, labels, a grid, a line a series."""

import math
from collections.abc import Mapping, Sequence
from html import escape

from render3d.report.html import Html
from render3d.report.style import STYLE

_WIDTH, _HEIGHT = 500, 290
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 16, 48, 44  # margins round the frame of the plot
_COLORS = 6  # of `STYLE`
_LEGEND = 18  # between two rows of the legend

Series = tuple[Sequence[float], Sequence[float]]
Band = tuple[Sequence[float], Sequence[float]]  # the lowest and the highest y at each x of a series


def curves(
    title: str,
    *,
    x_label: str,
    y_label: str,
    series: Mapping[str, Series],
    levels: Mapping[str, float] | None = None,
    bands: Mapping[str, Band] | None = None,
) -> Html:
    """A plot of lines.

    Args:
        title: What it shows.
        x_label: With the unit.
        y_label: With the unit.
        series: x and y of each line, by name.
        levels: Values of y that are drawn as dashed lines across, by name.
        bands: How far a line of ``series`` varies, by its name.
    """
    levels, bands = levels or {}, bands or {}
    xs = [x for line in series.values() for x in line[0]]
    ys = [y for line in series.values() for y in line[1]] + list(levels.values())
    ys += [y for band in bands.values() for edge in band for y in edge]
    x_ticks, y_ticks = _ticks(min(xs, default=0), max(xs, default=1)), _ticks(min(ys, default=0), max(ys, default=1))

    def place(x: float, y: float) -> tuple[float, float]:
        across = (x - x_ticks[0]) / (x_ticks[-1] - x_ticks[0])
        up = (y - y_ticks[0]) / (y_ticks[-1] - y_ticks[0])
        return _LEFT + across * (_WIDTH - _LEFT - _RIGHT), _HEIGHT - _BOTTOM - up * (_HEIGHT - _TOP - _BOTTOM)

    colors = {name: f"var(--series-{index % _COLORS + 1})" for index, name in enumerate([*series, *levels])}
    rows = _legend_rows(list(colors))
    above = (len(rows) - 1) * _LEGEND  # what more than one row of the legend needs is added at the top

    parts = [f'<text class="title" x="{_LEFT}" y="{16 - above}">{escape(title)}</text>']
    for tick in y_ticks:
        x, y = place(x_ticks[0], tick)
        parts.append(f'<line class="grid" x1="{x:.1f}" y1="{y:.1f}" x2="{_WIDTH - _RIGHT}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{x - 7:.1f}" y="{y + 4:.1f}" text-anchor="end">{tick:g}</text>')
    for tick in x_ticks:
        x, y = place(tick, y_ticks[0])
        parts.append(f'<line class="grid" x1="{x:.1f}" y1="{y:.1f}" x2="{x:.1f}" y2="{y + 5:.1f}"/>')
        parts.append(f'<text x="{x:.1f}" y="{y + 18:.1f}" text-anchor="middle">{tick:g}</text>')
    middle, centre = (_LEFT + _WIDTH - _RIGHT) / 2, (_TOP + _HEIGHT - _BOTTOM) / 2
    parts.append(f'<text x="{middle}" y="{_HEIGHT - 6}" text-anchor="middle">{escape(x_label)}</text>')
    parts.append(
        f'<text x="12" y="{centre}" text-anchor="middle" transform="rotate(-90 12 {centre})">{escape(y_label)}</text>'
    )

    def points_of(xs: Sequence[float], ys: Sequence[float]) -> str:
        return " ".join("{:.1f},{:.1f}".format(*place(x, y)) for x, y in zip(xs, ys, strict=True))

    for name, (low, high) in bands.items():
        forth = series[name][0]
        outline = points_of([*forth, *reversed(forth)], [*low, *reversed(high)])
        parts.append(f'<polygon class="band" fill="{colors[name]}" points="{outline}"/>')
    for name, line in series.items():
        points = points_of(*line)
        parts.append(f'<polyline class="series" stroke="{colors[name]}" points="{points}"/>')
    for name, level in levels.items():
        (x1, y1), (x2, _) = place(x_ticks[0], level), place(x_ticks[-1], level)
        parts.append(
            f'<line class="level" stroke="{colors[name]}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y1:.1f}"/>'
        )
    for number, names in enumerate(rows):
        parts.extend(_legend(names, colors, set(levels), above - _LEGEND * number))
    label = escape(f"{title}: {y_label} against {x_label}")
    return Html(
        f'<svg class="curves" viewBox="0 {-above} {_WIDTH} {_HEIGHT + above}" role="img" aria-label="{label}">\n'
        + "\n".join(parts)
        + "\n</svg>"
    )


def standalone(plot: Html) -> str:
    """`curves` as an SVG file of its own, to be written as UTF-8."""
    start, rest = plot.split(">", maxsplit=1)
    opened = start.replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg"', 1)
    return f"{opened}>\n<style>\n{STYLE}</style>{rest}\n"


def _legend_rows(names: Sequence[str]) -> list[list[str]]:
    """As many of the names in a row as fit."""
    rows: list[list[str]] = [[]]
    for name in names:
        if rows[-1] and _LEFT + sum(map(_legend_width, [*rows[-1], name])) > _WIDTH:
            rows.append([])
        rows[-1].append(name)
    return rows


def _legend_width(name: str) -> float:
    return 25 + 6.4 * len(name) + 18


def _legend(names: Sequence[str], colors: Mapping[str, str], dashed: set[str], above: int) -> list[str]:
    parts, x, y = [], float(_LEFT), 32 - above
    for name in names:
        kind = "level" if name in dashed else "series"
        parts.append(f'<line class="{kind}" stroke="{colors[name]}" x1="{x:.1f}" y1="{y}" x2="{x + 20:.1f}" y2="{y}"/>')
        parts.append(f'<text x="{x + 25:.1f}" y="{y + 4}">{escape(name)}</text>')
        x += _legend_width(name)
    return parts


def _ticks(low: float, high: float) -> list[float]:
    """Four to eight round numbers that enclose both."""
    if not high > low:
        margin = max(0.5, 0.1 * abs(low))  # half of one would vanish beside a large number
        low, high = low - margin, high + margin
    rough = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [number * step for number in range(first, last + 1)]
