import math
import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from render3d.report import curves, standalone
from render3d.report.curves import _ticks

FRAME = (58, 48, 484, 246)  # left, top, right and bottom of the plot


def drawn(series, **options) -> ElementTree.Element:
    return ElementTree.fromstring(curves("Loss", x_label="steps", y_label="loss", series=series, **options))


def points(line: ElementTree.Element) -> list[tuple[float, float]]:
    return [tuple(map(float, pair.split(","))) for pair in line.get("points").split()]


def labels(plot: ElementTree.Element, anchor: str) -> list[tuple[float, float]]:
    """Place and value of each number on the axis whose labels are anchored so."""
    place = "y" if anchor == "end" else "x"
    shift = 4 if anchor == "end" else 0
    texts = [text for text in plot.iter("text") if text.get("text-anchor") == anchor and not text.get("transform")]
    numbers = [text for text in texts if re.fullmatch(r"-?[\d.]+(e[+-]\d+)?", text.text)]
    return [(float(text.get(place)) - shift, float(text.text)) for text in numbers]


numbers = st.floats(-1e12, 1e12).filter(lambda value: value == 0 or abs(value) > 1e-12)


@given(first=numbers, second=numbers)
def test_ticks_enclose_the_data_evenly_and_are_few(first, second):
    low, high = sorted((first, second))
    ticks = _ticks(low, high)
    step = ticks[1] - ticks[0]
    assert step > 0
    assert ticks[0] <= low + 1e-6 * step
    assert ticks[-1] >= high - 1e-6 * step
    assert 4 <= len(ticks) <= 8
    if high > low and step > 1e-9 * max(abs(low), abs(high)):
        assert ticks == pytest.approx([ticks[0] + number * step for number in range(len(ticks))], abs=1e-3 * step)
        assert ticks[1] > low - 1e-6 * step  # none too many
        assert ticks[-2] < high + 1e-6 * step


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (1, 400, [0, 100, 200, 300, 400]),
        (0.52, 0.97, [0.5, 0.6, 0.7, 0.8, 0.9, 1.0]),
        (-3, 3, [-4, -2, 0, 2, 4]),
        (3, 3, [2.4, 2.6, 2.8, 3.0, 3.2, 3.4, 3.6]),
    ],
)
def test_ticks_are_round_numbers(low, high, expected):
    assert _ticks(low, high) == pytest.approx(expected)


@pytest.mark.parametrize("value", [0.0, 0.7, -4.0, 1e17, -1e300, 1e-300])
def test_a_constant_is_enclosed_however_large(value):
    ticks = _ticks(value, value)
    assert ticks[0] < value < ticks[-1]
    assert all(map(math.isfinite, ticks))


def test_the_line_passes_through_the_points_by_the_numbers_on_the_axes():
    xs, ys = [1.0, 2.0, 3.5, 10.0], [0.5, 0.25, 0.7, 0.1]
    plot = drawn({"loss": (xs, ys)})
    (line,) = plot.iter("polyline")
    left, top, right, bottom = FRAME
    for axis, anchor, data in ((0, "middle", xs), (1, "end", ys)):
        (first, a), *_, (last, b) = labels(plot, anchor)
        assert {first, last} == ({left, right} if axis == 0 else {top, bottom})
        for point, value in zip(points(line), data, strict=True):
            assert point[axis] == pytest.approx(first + (value - a) / (b - a) * (last - first), abs=0.06)


@pytest.mark.parametrize(
    "series",
    [
        ([1.0], [0.3]),
        ([5.0, 5.0], [1.0, 2.0]),
        ([1.0, 2.0, 3.0], [0.0, 0.0, 0.0]),
        ([1.0, 2.0], [1e17, 1e17]),
        ([], []),
    ],
    ids=["one point", "one x", "constant zero", "large constant", "no points"],
)
def test_degenerate_lines_are_drawn_inside_the_frame(series):
    plot = drawn({"loss": series})
    (line,) = plot.iter("polyline")
    left, top, right, bottom = FRAME
    assert len(points(line)) == len(series[0])
    assert all(left <= x <= right and top <= y <= bottom for x, y in points(line))


def test_a_plot_of_nothing_has_its_axes():
    assert len(labels(drawn({}), "middle")) >= 4


def test_levels_widen_the_axis_and_are_dashed_lines_across():
    plot = drawn({"iou": ([0, 1], [0.2, 0.4])}, levels={"hull": 0.9})
    crossing, key = [line for line in plot.iter("line") if line.get("class") == "level"]
    assert crossing.get("y1") == crossing.get("y2")
    assert (float(crossing.get("x1")), float(crossing.get("x2"))) == (FRAME[0], FRAME[2])
    assert FRAME[1] <= float(crossing.get("y1")) < min(y for line in plot.iter("polyline") for _, y in points(line))
    assert key.get("stroke") == crossing.get("stroke")


def test_each_line_has_a_colour_of_its_own_and_stands_in_the_legend():
    plot = drawn({"a": ([0, 1], [0, 1]), "b": ([0, 1], [1, 0])}, levels={"c": 0.5})
    strokes = [line.get("stroke") for line in plot.iter("polyline")]
    assert strokes == ["var(--series-1)", "var(--series-2)"]
    keys = [line.get("stroke") for line in plot.iter("line") if line.get("y1") == "32"]
    assert keys == [*strokes, "var(--series-3)"]
    assert [text.text for text in plot.iter("text")][-3:] == ["a", "b", "c"]


def test_labels_are_escaped():
    markup = curves('<T>"', x_label="<x>&", y_label="<y>", series={"<s>": ([0, 1], [0, 1])}, levels={"<l>": 0.5})
    plot = ElementTree.fromstring(markup)
    texts = {text.text for text in plot.iter("text")}
    assert {'<T>"', "<x>&", "<y>", "<s>", "<l>"} <= texts
    assert plot.get("aria-label") == '<T>": <y> against <x>&'


def test_a_line_with_too_few_values_is_an_error():
    with pytest.raises(ValueError, match="zip"):
        curves("t", x_label="x", y_label="y", series={"a": ([0, 1], [0])})


def test_a_band_encloses_its_line_and_is_within_the_frame():
    line = ([0, 1, 2], [3.0, 2.0, 1.0])
    plot = drawn({"loss": line}, bands={"loss": ([2.5, 1.0, 0.0], [3.0, 4.0, 1.5])})
    (band,) = (shape for shape in plot.iter("polygon"))
    (drawn_line,) = (shape for shape in plot.iter("polyline"))
    assert band.get("fill") == drawn_line.get("stroke")
    outline = points(band)
    low, high = outline[:3], outline[:2:-1]  # forth along the lowest, back along the highest
    for (x, y), (x_low, y_low), (x_high, y_high) in zip(points(drawn_line), low, high, strict=True):
        assert x == x_low == x_high
        assert y_high <= y <= y_low  # down the page
    left, top, right, bottom = FRAME
    assert all(left <= x <= right and top <= y <= bottom for x, y in outline)


def test_six_lines_have_six_colours_and_a_legend_of_rows_that_do_not_overlap():
    names = [f"a long name of number {number}" for number in range(6)]
    plot = drawn({name: ([0, 1], [0, number]) for number, name in enumerate(names)})
    assert len({line.get("stroke") for line in plot.iter("polyline")}) == 6
    _, top, width, height = map(float, plot.get("viewBox").split())
    texts = {text.text: (float(text.get("x")), float(text.get("y"))) for text in plot.iter("text")}
    places = [texts[name] for name in names]
    assert len(set(places)) == 6
    assert all(x + 6.4 * len(name) < width for name, (x, _) in zip(names, places, strict=True))
    assert top < texts["Loss"][1] - 8 < min(y for _, y in places) - 8
    assert max(y for _, y in places) == 36  # above the frame, as ever
    assert height == 290 - top


def test_a_legend_of_one_row_takes_no_room():
    assert drawn({"loss": ([0, 1], [0, 1])}).get("viewBox") == "0 0 500 290"


def test_a_plot_of_its_own_file_is_svg_that_brings_its_colours():
    plot = curves("Loss", x_label="steps", y_label="loss", series={"a < b": [(0, 1), (1, 2)]})
    alone = ElementTree.fromstring(standalone(plot))
    space = "{http://www.w3.org/2000/svg}"
    assert alone.tag == f"{space}svg"
    assert next(child.tag for child in alone) == f"{space}style"
    drawn_ones = [element.tag.removeprefix(space) for element in alone.iter()]
    assert drawn_ones == ["svg", "style", *[element.tag for element in ElementTree.fromstring(plot).iter()][1:]]
