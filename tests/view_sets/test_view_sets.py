"""Posed images on disk: what is written is read back, and every kind of broken input says what is wrong."""

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from render3d import Cameras, Mesh, Rendering
from render3d.color import srgb_to_linear
from render3d.errors import ShapeError, ViewSetError
from render3d.renderers import OpenGL
from render3d.view_sets import ViewSet, read_views, write_views
from render3d.view_sets.formats.nerfstudio import TRANSFORMS

MESH = Mesh(torch.tensor([[-0.7, -0.5, 0.4], [0.8, -0.6, 0.3], [0.1, 0.9, 0.2]]), torch.tensor([[0, 1, 2]]))


@pytest.fixture
def cameras() -> Cameras:
    return Cameras.sphere(4, 3.0, image_size=(20, 28), near=0.5, far=9.0).crop(1, 2, 16, 22)


@pytest.fixture
def folder(tmp_path: Path, cameras: Cameras) -> Path:
    write_views(tmp_path / "views", cameras, OpenGL()(MESH, cameras), renderer="OpenGL")
    return tmp_path / "views"


def change(folder: Path, edit: Callable[[dict[str, Any]], object]) -> Path:
    content = json.loads((folder / TRANSFORMS).read_text())
    edit(content)
    (folder / TRANSFORMS).write_text(json.dumps(content))
    return folder


@pytest.mark.parametrize("orthographic", [False, True])
@pytest.mark.parametrize("outputs", [("rgb", "alpha"), ("alpha",)])
def test_round_trip(tmp_path: Path, cameras: Cameras, orthographic: bool, outputs: tuple[str, ...]) -> None:
    system = cameras.to_orthographic(2.0) if orthographic else cameras
    rendering = OpenGL()(MESH, system, outputs)
    views = read_views(write_views(tmp_path, system, rendering))
    torch.testing.assert_close(views.cameras.world_to_camera, system.world_to_camera, atol=1e-6, rtol=0)
    torch.testing.assert_close(views.cameras.intrinsics, system.intrinsics)
    assert (views.cameras.image_size, views.cameras.projection) == (system.image_size, system.projection)
    assert (views.cameras.near, views.cameras.far) == (0.5, 9.0)
    assert torch.equal(views.alpha, rendering.alpha)
    if "rgb" in outputs:
        assert views.rgb is not None
        torch.testing.assert_close(views.rgb, rendering.rgb, atol=0.01, rtol=0)  # 8 bits of sRGB
    else:
        assert views.rgb is None
    assert views.names == ("0000", "0001", "0002", "0003")


def test_the_published_format_is_what_is_written(folder: Path, cameras: Cameras) -> None:
    """A reader written from nerfstudio's description: the same ray through the same pixel."""
    content = json.loads((folder / TRANSFORMS).read_text())
    frame = content["frames"][2]
    matrix = np.array(frame["transform_matrix"])
    column, row = 5.5, 7.5
    direction = matrix[:3, :3] @ [(column - frame["cx"]) / frame["fl_x"], -(row - frame["cy"]) / frame["fl_y"], -1.0]
    expected = cameras.rays().directions[2, 7, 5].numpy()
    np.testing.assert_allclose(direction / np.linalg.norm(direction), expected, atol=1e-6)
    assert (frame["w"], frame["h"]) == (22, 16)
    assert content["camera_model"] == "PINHOLE"
    with Image.open(folder / frame["file_path"]) as image:
        assert image.mode == "RGBA"


def test_nerf_synthetic_files_without_suffix_and_size(tmp_path: Path) -> None:
    pixels = np.zeros((8, 10, 4), np.uint8)
    pixels[2:5, 3:6] = (128, 0, 255, 255)
    Image.fromarray(pixels).save(tmp_path / "r_0.png")
    transforms = {"camera_angle_x": 0.7, "frames": [{"file_path": "./r_0", "transform_matrix": np.eye(4).tolist()}]}
    (tmp_path / "transforms_train.json").write_text(json.dumps(transforms))
    views = read_views(tmp_path / "transforms_train.json")
    assert views.cameras.image_size == (8, 10)
    assert views.cameras.intrinsics[0, 0, 0] == pytest.approx(5 / np.tan(0.35))
    assert views.alpha.sum() == 9
    assert views.rgb is not None
    torch.testing.assert_close(views.rgb[0, 0, 3, 4], srgb_to_linear(torch.tensor(128 / 255)))


def test_masks_and_shared_intrinsics(tmp_path: Path) -> None:
    Image.fromarray(np.full((6, 8, 3), 255, np.uint8)).save(tmp_path / "photo.jpg")
    mask = np.zeros((6, 8), np.uint8)
    mask[1:3] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    frame = {"file_path": "photo.jpg", "mask_path": "mask.png", "transform_matrix": np.eye(4).tolist()}
    (tmp_path / TRANSFORMS).write_text(json.dumps({"fl_x": 9, "w": 8, "h": 6, "frames": [frame]}))
    views = read_views(tmp_path)
    assert views.alpha.sum() == 16
    torch.testing.assert_close(views.cameras.intrinsics[0], torch.tensor([[9.0, 0, 4], [0, 9, 3], [0, 0, 1]]))


def test_split_is_even_and_complete(folder: Path) -> None:
    views = read_views(folder)
    train, held_out = views.split(2)
    assert (train.names, held_out.names) == (("0000", "0002"), ("0001", "0003"))
    for count in (0, 4):
        with pytest.raises(ViewSetError, match="held_out must leave views on both sides; got"):
            views.split(count)


def test_views_that_do_not_fit_their_cameras(cameras: Cameras) -> None:
    with pytest.raises(ShapeError, match="alpha must be one image a camera, 4 of 16 x 22 pixels"):
        ViewSet(cameras, torch.zeros(4, 1, 16, 21), None, ("a", "b", "c", "d"))
    with pytest.raises(ShapeError, match="names must be one a camera, 4; got 1"):
        ViewSet(cameras, torch.zeros(4, 1, 16, 22), None, ("a",))
    with pytest.raises(ViewSetError, match="A view set is the views of one scene"):
        write_views("unused", cameras[None], Rendering({"alpha": torch.zeros(1, 4, 1, 16, 22)}))


def drop(field: str) -> Callable[[dict[str, Any]], object]:
    return lambda content: content["frames"][1].pop(field)


def put(field: str, value: object) -> Callable[[dict[str, Any]], object]:
    return lambda content: content["frames"][1].update({field: value})


BENT = [[2.0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (drop("file_path"), r"view 1 lacks the path of its image \(file_path\)"),
        (drop("transform_matrix"), r"frames\[1\] must have a 'transform_matrix' of four rows"),
        (drop("fl_x"), r"frames\[1\] must have 'fl_x' or 'camera_angle_x', a finite number"),
        (put("transform_matrix", BENT), r"transform_matrix of frames\[1\] must be a rotation and a translation"),
        (put("transform_matrix", [[float("nan")] * 4] * 4), r"transform_matrix of frames\[1\]"),
        (put("k1", "0.1"), r"frames\[1\]: k1 must be a finite number; got '0.1'"),
        (put("k1", float("nan")), r"frames\[1\]: k1 must be a finite number; got nan"),
        (put("k4", 0.1), r"frames\[1\]: k4 is of no lens with camera_model 'PINHOLE'; got 0.1"),
        (put("camera_model", "EQUIRECTANGULAR"), r"frames\[1\] has camera_model 'EQUIRECTANGULAR', which is not known"),
        (put("w", 23), "view 1: .*0001.png: is 16 x 22 .* and its camera 16 x 23"),
        (put("w", 26), "all images of a view set must have one size, or one aspect; got 16 x 22 and 16 x 26"),
        (put("file_path", "images/none.png"), r"view 1: .*images/none.png: no such file"),
        (put("file_path", "../secret.png"), r"view 1: .*/../secret.png: leads out of its folder"),
        (put("file_path", "/etc/hostname"), "leads out of its folder"),
        (lambda content: content.update(near=5, far=5), "near must be less than far"),
        (lambda content: content.update(near=None), "transforms.json"),
        (lambda content: content.update(frames=[]), "'frames' must be a list of at least one frame"),
        (lambda content: content.pop("frames"), "'frames' must be a list of at least one frame; got None"),
    ],
)
def test_a_broken_transforms_json(folder: Path, edit: Callable[[dict[str, Any]], object], message: str) -> None:
    with pytest.raises(ViewSetError, match=message) as caught:
        read_views(change(folder, edit))
    assert str(folder / TRANSFORMS) in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [("", "no valid JSON, empty"), ("{", "no valid JSON.*broken or truncated"), ("[1]", "must hold a JSON object")],
)
def test_a_file_that_is_none(folder: Path, content: str, message: str) -> None:
    (folder / TRANSFORMS).write_text(content)
    with pytest.raises(ViewSetError, match=message):
        read_views(folder)


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(
        ViewSetError,
        match="holds no view set, .* nerfstudio by transforms.json, blender by .*, colmap by sparse/0, r2n2 by",
    ):
        read_views(tmp_path)
    with pytest.raises(
        ViewSetError, match="nothing.json: no such file or folder. Give a transforms.json, or the folder"
    ):
        read_views(tmp_path / "nothing.json")


def test_a_link_out_of_the_folder(folder: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside.png"
    (folder / "images" / "0001.png").rename(outside)
    (folder / "images" / "0001.png").symlink_to(outside)
    with pytest.raises(ViewSetError, match=r"view 1: .*images/0001.png: is a link that leads out .*follow_links=True"):
        read_views(folder)
    assert len(read_views(folder, follow_links=True)) == 4


def test_an_image_of_another_size_than_its_camera(folder: Path) -> None:
    Image.fromarray(np.zeros((16, 20, 4), np.uint8)).save(folder / "images" / "0002.png")
    with pytest.raises(ViewSetError, match="0002.png: is 16 x 20 .* and its camera 16 x 22. Resize it"):
        read_views(folder)


def test_an_image_that_is_truncated_or_none(folder: Path) -> None:
    file = folder / "images" / "0003.png"
    file.write_bytes(file.read_bytes()[:60])
    with pytest.raises(ViewSetError, match=r"0003.png: cannot be read as an image, broken or truncated"):
        read_views(folder)


def test_no_silhouette(folder: Path) -> None:
    Image.fromarray(np.zeros((16, 22, 3), np.uint8)).save(folder / "images" / "0000.png")
    with pytest.raises(
        ViewSetError, match="0000.png: there is no alpha of this view: no mask.*Store masks .*--masks grabcut"
    ):
        read_views(folder)


def test_a_full_disk_leaves_no_half_file(tmp_path: Path, cameras: Cameras, monkeypatch: pytest.MonkeyPatch) -> None:
    rendering, real, calls = OpenGL()(MESH, cameras), os.fsync, []

    def fsync(number: int) -> None:
        calls.append(number)
        if len(calls) == 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(number)

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(OSError, match="No space left on device; nothing was changed.*0002.png"):
        write_views(tmp_path, cameras, rendering)
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == ["0000.png", "0001.png"]
