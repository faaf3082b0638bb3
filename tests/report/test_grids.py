import re
from xml.etree import ElementTree

import pytest
import torch

from render3d.errors import ShapeError
from render3d.report import Row, grid, links

PICTURE = torch.rand(3, 4, 6, generator=torch.Generator().manual_seed(0))


def cells(markup: str) -> list[list[ElementTree.Element]]:
    """Rows of cells, the head first."""
    tree = ElementTree.fromstring(re.sub("(<img[^>]*)>", r"\1/>", markup))
    width = int(tree.get("style").removeprefix("--columns: ")) + 1
    children = list(tree)
    assert len(children) % width == 0
    return [children[start : start + width] for start in range(0, len(children), width)]


def test_each_row_has_its_label_and_a_cell_for_every_column():
    found = cells(grid(["a", "<b>"], [Row("<colour>", [PICTURE, None]), Row("depth", [None, PICTURE])]))
    assert [cell.text for cell in found[0]] == [None, "a", "<b>"]
    assert [row[0].find("b").text for row in found[1:]] == ["<colour>", "depth"]
    alts = [
        [None if (image := cell.find("img")) is None else image.get("alt") for cell in row[1:]] for row in found[1:]
    ]
    assert alts == [["a: <colour>", None], [None, "<b>: depth"]]
    assert found[1][2].text == "–"  # noqa: RUF001


def test_small_pictures_show_their_pixels_and_large_ones_are_averaged():
    for width, kind in ((300, "pixels"), (600, None)):
        (row,) = cells(grid(["a", "b"], [Row("", [torch.zeros(1, 2, width), None])]))[1:]
        assert row[1].find("img").get("class") == kind


def test_a_row_of_another_length_is_refused():
    with pytest.raises(ShapeError, match=r"'colour' must have 2 pictures, one a column; got 1"):
        grid(["a", "b"], [Row("colour", [PICTURE])])


def test_links_lead_beside_the_page():
    (link,) = ElementTree.fromstring(links({"<fit>": "a folder/report.html"})).iter("a")
    assert (link.text, link.get("href")) == ("<fit>", "a%20folder/report.html")
