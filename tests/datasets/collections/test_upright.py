"""Collections whose +z is up: turned upright, and never mirrored."""

import json
from pathlib import Path

import pytest
import torch

from render3d import Mesh
from render3d.datasets.collections import CollectionObject
from render3d.datasets.collections.upright import upright
from render3d.datasets.view_sets.write.engine import Finished
from render3d.datasets.view_sets.write.job import RenderObject
from render3d.datasets.view_sets.write.protocols import Orbit
from render3d.datasets.view_sets.write.settings import ViewsSettings
from render3d.errors import DatasetError
from render3d.view_sets import read_views

CAMERAS = Orbit(views=3, image_size=(40, 40), elevation_degrees=0.0)
OUTPUTS = ("rgb", "alpha", "depth", "normal", "face_index")


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A post with a flag, of no symmetry, in both axes: (x, y, z) with +z up is (x, z, -y) with +y up."""
    post = [(0.0, 0.0, 0.0), (0.25, 0.0, 0.0), (0.0, 0.25, 0.0), (0.0, 0.0, 3.0), (1.0, 0.5, 2.5)]
    faces = torch.tensor([[0, 2, 1], [0, 1, 3], [1, 2, 3], [2, 0, 3], [0, 4, 3]])
    turned = [(x, z, -y) for x, y, z in post]
    colors = torch.linspace(0, 1, 15).reshape(5, 3)
    for name, places in (("z", post), ("y", turned)):
        Mesh(torch.tensor(places), faces, colors=colors).save(tmp_path / f"{name}.ply")
    return tmp_path


def made(models: Path, up: str, radius: float | None = 1.0) -> Path:
    settings = ViewsSettings(protocol=CAMERAS, outputs=OUTPUTS, radius=radius, up=up)  # type: ignore[arg-type]
    (models / f"out-{up}").mkdir()
    outcome = RenderObject(settings, models / f"out-{up}")(CollectionObject("post", models / f"{up}.ply", models))
    assert isinstance(outcome, Finished), outcome
    return models / f"out-{up}" / "objects" / "post"


@pytest.mark.parametrize("radius", [0.5, None])
def test_pictures_are_those_of_a_mesh_that_was_turned_beforehand(models: Path, radius: float | None) -> None:
    turned, beforehand = made(models, "z", radius), made(models, "y", radius)
    names = {path.relative_to(turned) for path in turned.rglob("*") if path.is_file()} - {Path("object.json")}
    assert len(names) == 3 * 4 + 2  # and cameras, and points
    for name in names:
        assert (turned / name).read_bytes() == (beforehand / name).read_bytes(), name


def test_what_is_up_is_up_in_the_pictures(models: Path) -> None:
    """The post is three times as high as wide, and its foot is wider than its top."""
    alpha = read_views(made(models, "z")).alpha[:, 0] > 0
    for mask in alpha:
        rows, columns = mask.any(1).nonzero()[:, 0], mask.any(0).nonzero()[:, 0]
        assert len(rows) > 2 * len(columns)


@pytest.mark.parametrize("radius", [0.5, None])
def test_the_transform_takes_what_was_rendered_back_to_the_axes_of_the_file(models: Path, radius: float | None) -> None:
    facts = json.loads((made(models, "z", radius) / "object.json").read_text())["normalisation"]
    assert (facts["radius"], facts["up"]) == (radius, "z")
    back = torch.tensor(facts["to_source"])
    mesh = Mesh.load(models / "y.ply")
    vertices = mesh.vertices if radius is None else mesh.normalized().vertices * radius
    found = vertices @ back[:3, :3].T + back[:3, 3]
    torch.testing.assert_close(found, Mesh.load(models / "z.ply").vertices, atol=1e-6, rtol=1e-6)


def test_a_mesh_that_was_normalised_before_is_taken_back_all_the_way(models: Path) -> None:
    mesh = Mesh.load(models / "z.ply")
    torch.testing.assert_close(upright(mesh.normalized(), "z").restored().vertices, mesh.vertices)
    assert upright(mesh, "y") is mesh


def test_other_axes_are_refused() -> None:
    with pytest.raises(DatasetError, match="up must be one of 'y', 'z'; got 'x'"):
        ViewsSettings(up="x")  # type: ignore[arg-type]
