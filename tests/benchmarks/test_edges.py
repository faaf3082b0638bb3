"""``python -m benchmarks edges`` at tiny sizes: that its figures are what they are called."""

import math

from benchmarks.edges.compare import _broken, _cameras, _errors, _step
from benchmarks.edges.fits import fit_rows
from render3d.fitting import TemplateFitSettings
from render3d.testing.deformations import partly_flipped, pebble


def test_the_rows_of_a_mesh_name_each_gradient() -> None:
    rows = [row for row, _ in zip(_errors((16,)), range(3), strict=False)]
    assert rows[0]["gradient"] == "edges"
    assert rows[-1]["gradient"] == "local_credit"
    assert rows[-1]["smooth"] > rows[0]["smooth"] > 0


def test_what_breaks_is_a_row_of_errors() -> None:
    row = _broken("pebble", partly_flipped(pebble()), _cameras(16), images=("rgb",))
    assert row["mesh"] == "pebble" and row["alpha, edges"] is None
    assert row["rgb, edges, 16 samples"] < row["rgb, edges"] < 0.3


def test_a_step_is_compared() -> None:
    found = _step("rgb", 16, 1, 2.0, views=2, rounds=1)
    assert found.case == "a step, rgb, 16 x 16, 42 vertices"
    assert found.floor == 0.5
    assert math.isfinite(found.ratio) and found.ratio > 0


def test_fits_are_rows_of_medians() -> None:
    settings = TemplateFitSettings(updates=5, subdivisions=1, evaluate_every=1)
    edges, noisy = fit_rows({"pebble": pebble()}, settings, range(2), size=16, views=13)
    assert (edges["gradient"], edges["fits"], noisy["fits"]) == ("edges", 1.0, 2.0)
    assert 0 < edges["IoU after 2 updates"] <= 1 and noisy["the least"] <= noisy["after 5"] <= noisy["the most"]
    assert edges["seconds to 0.965"] is None
