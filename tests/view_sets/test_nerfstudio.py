"""What nerfstudio's own files may say is understood as nerfstudio understands it."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import trees
import trimesh
from PIL import Image

from render3d import Cameras
from render3d.datasets import PosedObjects
from render3d.errors import ViewSetError
from render3d.view_sets import ViewSet, read_cameras, read_views, write_views
from render3d.view_sets.formats.nerfstudio import Nerfstudio
from render3d.view_sets.points import surface_points

SEEN = trees.off_centre()


def assert_sees(views: ViewSet, seen: Cameras = SEEN) -> None:
    torch.testing.assert_close(views.cameras.world_to_camera, seen.world_to_camera, atol=2e-6, rtol=0)
    torch.testing.assert_close(views.cameras.intrinsics, seen.intrinsics, atol=1e-4, rtol=0)
    assert torch.equal(views.alpha, trees.rendered(seen).alpha)


def test_masks_that_no_frame_names_are_found_by_their_images(tmp_path: Path) -> None:
    views = read_views(trees.nerfstudio(tmp_path, SEEN))
    assert_sees(views)
    assert views.rgb is not None
    assert (views.names[0], views.splits) == ("frame_00001", ())
    for path in list((tmp_path / "masks").iterdir()):
        path.rename(path.with_name(f"{path.name}.png"))
    assert_sees(read_views(tmp_path))
    (tmp_path / "masks/frame_00002.png.png").unlink()
    with pytest.raises(ViewSetError, match="frame_00002.png: there is no alpha of this view: no mask, and no alpha"):
        read_views(tmp_path)


def test_splits_are_those_of_the_file_and_frames_of_none_are_left_out(tmp_path: Path) -> None:
    def split(content: dict[str, Any]) -> None:
        names = [frame["file_path"] for frame in content["frames"]]
        content |= {"train_filenames": names[:2], "val_filenames": [f"./{names[4]}"], "test_filenames": names[1:3]}

    views = read_views(trees.nerfstudio(tmp_path, SEEN, split))
    assert views.names == ("frame_00001", "frame_00002", "frame_00003", "frame_00005")
    assert views.splits == ("train", "train", "test", "val")
    training, held_out = views.split()
    assert (training.names, held_out.names) == (views.names[:2], views.names[2:])
    assert_sees(views, SEEN[[0, 1, 2, 4]])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"test_filenames": ["images/none.png"]}, "test_filenames has 'images/none.png', which is the file_path of no"),
        ({"train_filenames": "images"}, "train_filenames must be a list of names; got 'images'"),
        ({"train_filenames": []}, "its splits .train. name no frame"),
        ({"applied_scale": 0}, "applied_scale must be a positive number; got 0"),
        ({"applied_transform": [[1, 2]]}, "applied_transform must be three or four rows of four numbers"),
        ({"applied_transform": (2 * np.eye(4)[:3]).tolist()}, "applied_transform must be a rotation and a translation"),
        ({"camera_model": "OPENCV_FISHEYE", "p1": 0.1}, "p1 and p2 are of no fisheye lens; got .0.1, 0.0."),
        ({"camera_model": "FISHEYE624"}, r"frames\[0\] has camera_model 'FISHEYE624', which is not known here"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_named(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    folder = trees.nerfstudio(tmp_path, SEEN, lambda content: content.update(change))
    with pytest.raises(ViewSetError, match=f"transforms.json: .*{message}"):
        read_views(folder)


def large(content: dict[str, Any]) -> None:
    """Say that images are fifty times as large as they are."""
    for frame in content["frames"]:
        frame |= {name: round(50 * frame[name]) for name in ("w", "h")}
        frame |= {name: 50 * frame[name] for name in ("fl_x", "fl_y", "cx", "cy")}


@pytest.mark.parametrize("originals", [False, True])
def test_large_images_are_read_from_smaller_copies(tmp_path: Path, originals: bool) -> None:
    """Of 1600 x 2200 pixels, those of half the size are the first that are small enough."""
    seen = SEEN.resize(32, 44)
    folder = trees.nerfstudio(tmp_path, seen, large)
    for what in ("images", "masks"):
        (folder / what).rename(folder / f"{what}_2")
        for name in [path.name for path in (folder / f"{what}_2").iterdir()]:
            trees.save(folder / f"{what}_4" / name, np.zeros((8, 11), np.uint8))
            if originals:
                trees.save(folder / what / name, np.zeros((1, 1), np.uint8))
    assert_sees(read_views(folder), seen)


def test_small_images_are_read_as_they_are(tmp_path: Path) -> None:
    folder = trees.nerfstudio(tmp_path, SEEN)
    trees.save(folder / "images_2/frame_00001.png", np.zeros((8, 11), np.uint8))
    assert_sees(read_views(folder))


@pytest.mark.parametrize("scale", [None, 0.25])
def test_an_applied_transform_is_undone(tmp_path: Path, scale: float | None) -> None:
    """As ns-process-data turns what COLMAP made: x, y, z become y, x, -z, all scaled."""
    applied = np.array([[0.0, 1, 0, 0.3], [1, 0, 0, -0.2], [0, 0, -1, 0.7]])

    def apply(content: dict[str, Any]) -> None:
        for frame in content["frames"]:
            pose = np.vstack([applied, [0, 0, 0, 1]]) @ np.array(frame["transform_matrix"])
            pose[:3, 3] *= scale or 1
            frame["transform_matrix"] = pose.tolist()
        content |= {"applied_transform": applied.tolist()} | ({"applied_scale": scale} if scale else {})

    assert_sees(read_views(trees.nerfstudio(tmp_path, SEEN, apply)))


def test_intrinsics_are_those_of_the_frame_where_it_has_its_own(tmp_path: Path) -> None:
    def share(content: dict[str, Any]) -> None:
        content |= {name: content["frames"][0][name] for name in ("fl_x", "fl_y", "cx", "cy", "w", "h")}
        for frame in content["frames"][1:]:
            for name in ("fl_x", "fl_y", "cx", "cy", "w", "h"):
                del frame[name]
        content["frames"][3] |= {"fl_x": 30.0, "cy": 7.0}

    views = read_views(trees.nerfstudio(tmp_path, SEEN, share))
    expected = SEEN.intrinsics.clone()
    expected[3, 0, 0], expected[3, 1, 2] = 30.0, 7.0
    torch.testing.assert_close(views.cameras.intrinsics, expected)


def test_sides_may_be_numbers_with_a_point(tmp_path: Path) -> None:
    def point(content: dict[str, Any]) -> None:
        content |= {name: float(content["frames"][0][name]) for name in ("w", "h")}
        for frame in content["frames"]:
            del frame["w"], frame["h"]

    assert_sees(read_views(trees.nerfstudio(tmp_path, SEEN, point)))


def test_the_model_that_a_scene_was_made_of_is_no_scene_of_its_own(tmp_path: Path) -> None:
    trees.colmap(trees.nerfstudio(tmp_path / "scene", SEEN) / "colmap", SEEN, images=False)
    assert PosedObjects(tmp_path).ids == ("scene",)


def test_points_on_the_surface_are_written_for_splatting(tmp_path: Path) -> None:
    cameras = Cameras.sphere(6, 3.0, image_size=(48, 64))
    rendering = trees.OpenGL()(trees.MESH, cameras, ("rgb", "alpha", "depth"))
    path = write_views(tmp_path, cameras, rendering)
    content = json.loads(path.read_text())
    cloud = trimesh.load(tmp_path / content["ply_file_path"])
    mesh = trimesh.Trimesh(trees.MESH.vertices.numpy(), trees.MESH.faces.numpy())
    distances = trimesh.proximity.closest_point_naive(mesh, cloud.vertices)[1]
    assert len(cloud.vertices) > 300
    assert distances.max() < 1e-4
    assert cloud.colors.shape == (len(cloud.vertices), 4)
    found = surface_points(cameras, rendering)
    assert found is not None
    pixels = cameras.project(torch.from_numpy(found.positions).float())
    at = torch.arange(len(found.views))
    torch.testing.assert_close(
        pixels[torch.from_numpy(found.views), at, :2].double(), torch.from_numpy(found.pixels), atol=1e-2, rtol=0
    )
    few = surface_points(cameras, rendering, 50)
    assert few is not None
    assert (len(few.positions), len(set(few.views.tolist()))) == (50, len(set(found.views.tolist())))


@pytest.mark.parametrize("orthographic", [False, True])
def test_points_of_orthographic_views_lie_on_the_surface_too(orthographic: bool) -> None:
    cameras = Cameras.sphere(3, 3.0, image_size=(24, 32))
    cameras = cameras.to_orthographic(2.5) if orthographic else cameras
    found = surface_points(cameras, trees.OpenGL()(trees.MESH, cameras, ("alpha", "depth")))
    assert found is not None
    mesh = trimesh.Trimesh(trees.MESH.vertices.numpy(), trees.MESH.faces.numpy())
    assert trimesh.proximity.closest_point_naive(mesh, found.positions)[1].max() < 1e-4
    assert (found.colors == 128).all()


def test_without_depth_or_where_none_are_asked_for_there_are_no_points(tmp_path: Path) -> None:
    rendering = trees.OpenGL()(trees.MESH, SEEN, ("alpha", "depth"))
    assert "ply_file_path" not in json.loads(write_views(tmp_path, SEEN, trees.rendered(SEEN)).read_text())
    assert not (tmp_path / "sparse_pc.ply").exists()
    assert "sparse_pc.ply" not in dict(Nerfstudio(points=0).files(SEEN, rendering, None))
    assert "sparse_pc.ply" in dict(Nerfstudio().files(SEEN, rendering, None))


def test_a_field_of_view_stands_for_the_focal_length(tmp_path: Path) -> None:
    seen = trees.cameras()

    def forget(content: dict[str, Any]) -> None:
        content["camera_angle_x"] = 2 * math.atan(14 / float(seen.intrinsics[0, 0, 0]))
        for frame in content["frames"]:
            for name in ("fl_x", "fl_y", "cx", "cy", "w", "h"):
                del frame[name]

    assert_sees(read_views(trees.nerfstudio(tmp_path, seen, forget)), seen)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda path: path.unlink(), "no such file"),
        (lambda path: path.write_bytes(b"GIF89a" + bytes(40)), "cannot be read as an image, .* Known types: PNG, JPEG"),
        (lambda path: Image.new("RGB", (22, 15)).save(path), "is 15 x 22 .* and its camera 16 x 22"),
        (
            lambda path: Image.new("RGB", (16, 22)).save(path),
            "is 22 x 16 .* EXIF orientation .* remove the orientation",
        ),
    ],
)
def test_images_that_are_missing_or_wrong_are_named(
    tmp_path: Path, change: Callable[[Path], object], message: str
) -> None:
    folder = trees.nerfstudio(tmp_path, SEEN)
    change(folder / "images/frame_00003.png")
    with pytest.raises(ViewSetError, match=f"frame_00003.png: .*{message}"):
        read_views(folder)
    assert read_cameras(folder).views == 5
