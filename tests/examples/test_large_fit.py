"""The fit of many vertices and texels, at tiny sizes."""

import json
from pathlib import Path

import large_fit
import pytest
import torch
from large_fit import Grid, Level

from render3d import Mesh
from render3d.scenes.topology import is_closed

TINY = (Level(8, 8, 24, 20, 0.03, 1.0), Level(12, 16, 32, 5, 0.01, 1.0))


def test_the_sphere_of_a_level_is_closed_and_faces_outwards() -> None:
    grid = Grid.of(6)
    points = large_fit._ball(6).reshape(-1, 3)
    assert len(grid.node) == 2 + 5 * 6
    assert is_closed(grid.faces)
    torch.testing.assert_close(points[grid.node][grid.place], points, rtol=0, atol=1e-6)
    normals = Mesh(points, grid.corners).face_normals()
    assert bool(((normals * points[grid.corners].mean(1)).sum(-1) > 0).all())


def test_shape_and_texture_are_found_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large_fit, "LEVELS", TINY)
    large_fit.main(out=tmp_path, views=4, batch=2, held_out=2, levels=2)
    first, last = json.loads((tmp_path / "metrics.json").read_text())["levels"]
    assert (first["vertices"], last["texels"]) == (2 + 7 * 8, 256)
    assert last["unknowns"] == 3 * (2 + 11 * 12) + 3 * 256
    assert last["held_out_iou"] > 0.6 and last["held_out_psnr"] > 10
    assert (tmp_path / "chicken.glb").exists()
