"""Depth and normals of views are read if they are asked for."""

import dataclasses
from pathlib import Path

import pytest
import torch
import trees

from render3d import cli
from render3d.data import bunny
from render3d.errors import ShapeError, ViewSetError
from render3d.fitting.targets import shrunk
from render3d.renderers import OpenGL
from render3d.view_sets import read_views, write_views

SEEN = trees.cameras()
IMAGES = ("rgb", "alpha", "depth", "normal")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_views(tmp_path / "views", SEEN, OpenGL()(trees.MESH, SEEN, IMAGES))
    return tmp_path / "views"


def test_depth_and_normals_are_read_back_as_they_were_written(folder: Path) -> None:
    expected = OpenGL()(trees.MESH, SEEN, IMAGES)
    views = read_views(folder, also=("depth", "normal"))
    assert list(views.images) == ["alpha", "rgb", "depth", "normal"]
    assert views.depth is not None and views.normal is not None
    assert (views.depth.shape, views.normal.shape) == ((5, 1, 20, 28), (5, 3, 20, 28))
    inside = expected.alpha > 0.5
    torch.testing.assert_close(views.depth[inside], expected.depth[inside], atol=2e-3, rtol=1e-3)
    assert bool((views.depth[~inside] == 0).all())
    both = inside.expand_as(views.normal)
    torch.testing.assert_close(views.normal[both], expected.normal[both], atol=1e-2, rtol=0)


def test_nothing_more_is_read_than_is_asked_for(folder: Path) -> None:
    assert list(read_views(folder).images) == ["alpha", "rgb"]
    views = read_views(folder, also=("depth",))
    assert (views.normal, list(views.images)) == (None, ["alpha", "rgb", "depth"])


@pytest.mark.parametrize("name", ["depth", "normal"])
def test_what_is_asked_for_and_missing_is_an_error_that_names_it(tmp_path: Path, name: str) -> None:
    write_views(tmp_path, SEEN, OpenGL()(trees.MESH, SEEN, ("rgb", "alpha")))
    with pytest.raises(ViewSetError, match=name):
        read_views(tmp_path, also=(name,))


def test_what_the_command_writes_is_read(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    bunny().save(tmp_path / "models" / "bunny.obj")
    words = ("--size", "16", "--views", "3", "--workers", "1", "--outputs", *IMAGES)
    assert cli.main(["views", str(tmp_path / "models"), "--out", str(tmp_path / "out"), *words]) == 0
    (file,) = (tmp_path / "out").rglob("transforms.json")
    views = read_views(file, also=("depth", "normal"))
    assert views.depth is not None and views.normal is not None
    inside = views.alpha > 0.5
    assert bool((views.depth[inside] > 0).all())
    assert float((views.normal.norm(dim=1, keepdim=True)[inside] - 1).abs().max()) < 0.02


def test_depth_and_normals_stay_with_their_views(folder: Path) -> None:
    views = read_views(folder, also=("depth", "normal"))
    some = views.select([3, 1])
    training, held_out = views.split(2)
    assert torch.equal(some.depth[0], views.depth[3]) and torch.equal(some.normal[1], views.normal[1])
    assert sorted(float(depth.sum()) for part in (training, held_out) for depth in part.depth) == sorted(
        float(depth.sum()) for depth in views.depth
    )
    assert views.to("cpu").normal is not None
    assert list(views.with_images({"alpha": views.alpha}).images) == ["alpha"]


def test_shrunk_depth_is_that_of_a_pixel_and_no_mean(folder: Path) -> None:
    views = read_views(folder, also=("depth", "normal"))
    small = shrunk(views, 14, "depth", "normal", "rgb")
    assert small.cameras.image_size == (10, 14)
    for view in range(5):
        assert set(small.depth[view].flatten().tolist()) <= set(views.depth[view].flatten().tolist())
    lengths = small.normal.norm(dim=1)
    assert bool(((lengths - 1).abs().lt(0.02) | lengths.eq(0)).all())
    assert list(shrunk(views, 14).images) == ["alpha"]


@pytest.mark.parametrize("name", ["depth", "normal", "rgb"])
def test_images_of_another_size_are_an_error(folder: Path, name: str) -> None:
    views = read_views(folder, also=("depth", "normal"))
    with pytest.raises(ShapeError, match=name):
        dataclasses.replace(views, **{name: views.images[name][..., 1:]})
