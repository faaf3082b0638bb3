"""The committed figure is the one its script draws."""

import runpy
from pathlib import Path
from xml.etree import ElementTree

DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_figure_is_up_to_date_and_well_formed() -> None:
    drawn = runpy.run_path(str(DOCS / "figures" / "conventions.py"))["figure"]()
    assert (DOCS / "images" / "conventions.svg").read_text(encoding="utf-8") == drawn
    assert ElementTree.fromstring(drawn).tag.endswith("svg")  # drawn by our own script
