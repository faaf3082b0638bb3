"""What instant-ngp, colmap2nerf and Windows write into ``transforms.json`` is read as they mean it."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import trees
from PIL import Image

from render3d import Cameras
from render3d.datasets import PosedObjects
from render3d.errors import ViewSetError
from render3d.view_sets import read_cameras, read_views
from render3d.view_sets.files import FolderFiles
from render3d.view_sets.formats.blender import Blender
from render3d.view_sets.formats.nerfstudio import Nerfstudio

SEEN = trees.off_centre()
FIELDS = ("fl_x", "fl_y", "cx", "cy", "w", "h")


def with_fields(folder: Path, shared: dict[str, Any], of_third: dict[str, Any] | None = None) -> Path:
    """Views of 16 x 22 pixels whose intrinsics are these alone, with others for one frame."""

    def change(content: dict[str, Any]) -> None:
        for frame in content["frames"]:
            for name in FIELDS:
                del frame[name]
        content.update({"w": 22, "h": 16, **shared})
        content["frames"][2].update(of_third or {})

    return trees.nerfstudio(folder, SEEN, change)


def angle(pixels: float, focal: float) -> float:
    return 2 * math.atan(pixels / 2 / focal)


@pytest.mark.parametrize(
    ("shared", "of_third", "first", "third"),
    [
        ({"camera_angle_x": angle(22, 30), "cx": 9.0, "cy": 10.0}, {}, (30, 30, 9, 10), (30, 30, 9, 10)),
        ({"camera_angle_x": angle(22, 30), "camera_angle_y": angle(16, 40)}, {}, (30, 40, 11, 8), (30, 40, 11, 8)),
        ({"camera_angle_x": angle(22, 30), "fl_y": 40.0, "cy": 7}, {}, (30, 40, 11, 7), (30, 40, 11, 7)),
        ({"camera_angle_x": angle(22, 30), "fl_x": 30.0}, {"cx": 12.5}, (30, 30, 11, 8), (30, 30, 12.5, 8)),
        ({"fl_x": 30}, {"camera_angle_x": angle(22, 50)}, (30, 30, 11, 8), (50, 50, 11, 8)),
        ({"camera_angle_x": angle(22, 30)}, {"fl_x": 35, "fl_y": 45}, (30, 30, 11, 8), (35, 45, 11, 8)),
        ({"fl_x": 30, "fl_y": 40}, {"camera_angle_y": angle(16, 60)}, (30, 40, 11, 8), (30, 60, 11, 8)),
    ],
)
def test_angles_and_lengths_stand_beside_each_other(
    tmp_path: Path,
    shared: dict[str, Any],
    of_third: dict[str, Any],
    first: tuple[float, ...],
    third: tuple[float, ...],
) -> None:
    cameras = read_cameras(with_fields(tmp_path, shared, of_third))
    for number, (fx, fy, cx, cy) in ((0, first), (2, third)):
        torch.testing.assert_close(cameras.intrinsics[number], torch.tensor([[fx, 0, cx], [0, fy, cy], [0, 0, 1.0]]))


def test_distortion_counts_beside_an_angle(tmp_path: Path) -> None:
    folder = with_fields(tmp_path, {"camera_angle_x": angle(22, 30), "cx": 9, "k1": 0.1, "p2": 0.01})
    lenses = Nerfstudio().open(FolderFiles(folder)).lenses
    assert lenses[1].distortion[:5] == (0.1, 0, 0, 0.01, 0)
    assert lenses[1].pinhole == pytest.approx((30, 30, 9, 8))


def test_a_fisheye_may_be_named_in_two_ways(tmp_path: Path) -> None:
    shared = {"camera_angle_x": angle(22, 30), "k1": 0.05}
    here = with_fields(tmp_path / "here", {**shared, "is_fisheye": True})
    there = with_fields(tmp_path / "there", {**shared, "camera_model": "OPENCV_FISHEYE"})
    plain = with_fields(tmp_path / "plain", {"camera_angle_x": angle(22, 30), "is_fisheye": False})
    assert torch.equal(read_views(here).alpha, read_views(there).alpha)
    assert torch.equal(read_views(plain).alpha, trees.rendered(SEEN).alpha)


@pytest.mark.parametrize(
    ("shared", "message"),
    [
        ({"camera_angle_x": 4.0}, r"frames\[0\]: camera_angle_x must lie between 0 and pi .radians.; got 4"),
        ({"camera_angle_x": 0.7, "camera_angle_y": math.nan}, "camera_angle_y must be a finite number; got nan"),
        ({"camera_angle_x": 0.7, "cx": "9"}, "cx must be a finite number; got '9'"),
        ({"camera_angle_x": 0.7, "is_fisheye": "false"}, "is_fisheye must be true or false; got 'false'"),
        ({"is_fisheye": True, "fl_x": 30, "p1": 0.1}, "p1 and p2 are of no fisheye lens; got .0.1, 0.0."),
        ({"cx": 9}, r"frames\[0\] must have 'fl_x' or 'camera_angle_x'"),
    ],
)
def test_fields_that_cannot_be_are_named(tmp_path: Path, shared: dict[str, Any], message: str) -> None:
    with pytest.raises(ViewSetError, match=f"transforms.json: .*{message}"):
        read_cameras(with_fields(tmp_path, shared))


def test_nerf_synthetic_files_may_have_all_of_that_too(tmp_path: Path) -> None:
    folder = trees.blender(tmp_path, SEEN_BY_BLENDER)
    for path in folder.glob("transforms_*.json"):
        path.write_text(json.dumps({**json.loads(path.read_text()), "cx": 9.0, "camera_angle_y": 0.5, "k1": 0.2}))
    found = Blender().open(FolderFiles(folder))
    fy = 10 / math.tan(0.25)
    torch.testing.assert_close(found.cameras.intrinsics[:, 1, 1], torch.full((5,), fy))
    assert found.cameras.intrinsics[:, :2, 2].tolist() == [[9.0, 10.0]] * 5
    assert {lens.distortion[0] for lens in found.lenses} == {0.2}


SEEN_BY_BLENDER = trees.cameras()


def test_paths_of_windows(tmp_path: Path) -> None:
    def change(content: dict[str, Any]) -> None:
        for frame in content["frames"]:
            frame["file_path"] = ".\\" + frame["file_path"].replace("/", "\\")
        names = [frame["file_path"] for frame in content["frames"]]
        content |= {"train_filenames": names[:4], "test_filenames": [names[4].replace("\\", "/")]}

    views = read_views(trees.nerfstudio(tmp_path, SEEN, change))
    assert torch.equal(views.alpha, trees.rendered(SEEN).alpha)  # their masks are found, too
    assert (views.names[0], views.splits) == ("frame_00001", ("train",) * 4 + ("test",))


@pytest.mark.parametrize("suffix", [".PNG", ".Png", ".png"])
@pytest.mark.parametrize("named", ["", ".png", ".PNG"])
def test_suffixes_may_be_left_out_and_are_of_any_case(tmp_path: Path, suffix: str, named: str) -> None:
    def change(content: dict[str, Any]) -> None:
        for frame in content["frames"]:
            frame["file_path"] = frame["file_path"].replace(".png", named)

    folder = trees.nerfstudio(tmp_path, SEEN, change)
    for path in [*folder.glob("images/*"), *folder.glob("masks/*")]:
        path.rename(path.with_suffix(suffix))
    assert torch.equal(read_views(folder).alpha, trees.rendered(SEEN).alpha)


def test_a_photograph_of_a_camera_is_found_by_its_stem(tmp_path: Path) -> None:
    def change(content: dict[str, Any]) -> None:
        for frame in content["frames"]:
            frame["file_path"] = frame["file_path"].replace(".png", "")

    folder = trees.nerfstudio(tmp_path, SEEN, change)
    for path in list(folder.glob("images/*")):
        Image.open(path).save(path.with_suffix(".JPG"), format="JPEG")
        path.unlink()
    assert torch.equal(read_views(folder).alpha, trees.rendered(SEEN).alpha)


@pytest.mark.parametrize("place", ["file", "frame"])
def test_sides_with_a_point_are_sizes_for_every_reader(tmp_path: Path, place: str) -> None:
    def change(content: dict[str, Any]) -> None:
        for frame in content["frames"]:
            sides = {name: float(frame.pop(name)) for name in ("w", "h")}
            (frame if place == "frame" else content).update(sides)

    folder = trees.nerfstudio(tmp_path, SEEN, change)
    assert read_views(folder).cameras.image_size == (16, 22)
    assert PosedObjects(folder)[0].cameras.image_size == (16, 22)
    for path in folder.glob("images/*"):
        path.unlink()
    assert read_cameras(folder).image_size == (16, 22)


def test_a_byte_order_mark_is_no_part_of_a_file(tmp_path: Path) -> None:
    trees.nerfstudio(tmp_path / "nerfstudio", SEEN)
    trees.colmap(tmp_path / "colmap", SEEN, text=True)
    for name in ("nerfstudio/transforms.json", "colmap/sparse/0/cameras.txt", "colmap/sparse/0/images.txt"):
        path = tmp_path / name
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert len(read_views(tmp_path / "nerfstudio")) == len(read_views(tmp_path / "colmap")) == 5


def resized(folder: Path, names: dict[str, tuple[int, int]]) -> Path:
    """The same views with images, and masks, of other sizes for some of them."""
    content = json.loads((folder / "transforms.json").read_text())
    for frame in content["frames"]:
        name = Path(frame["file_path"]).name
        if name not in names:
            continue
        height, width = names[name]
        for field, factor in (("fl_x", width / 22), ("cx", width / 22), ("fl_y", height / 16), ("cy", height / 16)):
            frame[field] *= factor
        frame |= {"w": width, "h": height}
        for path in (folder / "images" / name, folder / "masks" / name):
            Image.open(path).resize((width, height), Image.Resampling.NEAREST).save(path)
    (folder / "transforms.json").write_text(json.dumps(content))
    return folder


def test_the_size_of_the_first_frame_is_that_of_frames_that_tell_none(tmp_path: Path) -> None:
    def change(content: dict[str, Any]) -> None:
        for frame in content["frames"][1:]:
            del frame["h"], frame["w"]

    whole, without = trees.nerfstudio(tmp_path / "whole", SEEN), trees.nerfstudio(tmp_path / "without", SEEN, change)
    assert torch.equal(read_views(without).cameras.intrinsics, read_views(whole).cameras.intrinsics)
    assert read_views(without).cameras.image_size == (16, 22)


def test_frames_of_one_aspect_are_resized_to_the_smallest(tmp_path: Path) -> None:
    folder = resized(trees.nerfstudio(tmp_path, SEEN), {"frame_00004.png": (32, 44), "frame_00001.png": (48, 66)})
    views, expected = read_views(folder), trees.rendered(SEEN).alpha
    assert views.cameras.image_size == (16, 22)
    torch.testing.assert_close(views.cameras.intrinsics, SEEN.intrinsics, atol=1e-5, rtol=0)
    torch.testing.assert_close(views.alpha[1:3], expected[1:3], atol=0, rtol=0)
    assert (views.alpha - expected).abs().mean() < 0.05
    assert ((views.alpha > 0.5) == (expected > 0.5)).float().mean() > 0.99


def test_frames_of_several_aspects_are_refused(tmp_path: Path) -> None:
    folder = resized(trees.nerfstudio(tmp_path, SEEN), {"frame_00004.png": (22, 16)})
    with pytest.raises(ViewSetError, match="transforms.json: all images .* one aspect; got .*in a folder of their own"):
        read_cameras(folder)


@pytest.mark.parametrize("make", [trees.nerfstudio, trees.colmap])
def test_a_mask_of_another_size_than_its_image_is_named_with_both_sizes(
    tmp_path: Path, make: Callable[[Path, Cameras], Path]
) -> None:
    folder = make(tmp_path, SEEN)
    path = next(iter(sorted((folder / "masks").iterdir())))
    Image.new("L", (11, 8)).save(path)
    message = f"{path.name}: is 8 x 11 .height x width. and its camera 16 x 22. Resize it"
    with pytest.raises(ViewSetError, match=message):
        read_views(folder)


def test_a_model_of_colmap_without_images_is_an_error_that_says_so(tmp_path: Path) -> None:
    folder = trees.colmap(tmp_path, SEEN, images=False)
    assert read_cameras(folder).views == 5
    with pytest.raises(ViewSetError, match=r"images/frame_00000.png: no such file. Put it there"):
        read_views(folder)
