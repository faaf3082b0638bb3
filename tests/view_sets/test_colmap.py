"""Models of COLMAP, binary and text, are read and written; what files say of themselves is not believed."""

import json
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import trees
from PIL import Image

from render3d import Cameras, cli
from render3d.conventions import to_nerfstudio
from render3d.datasets import PosedObjects, PosedSettings, RenderedObjects
from render3d.datasets.collections import open_collection
from render3d.datasets.view_sets.write.settings import ViewsSettings
from render3d.errors import ViewSetError
from render3d.view_sets import read_cameras, read_views, write_views

SEEN = trees.off_centre()
MODELS = {  # by COLMAP's numbers, with coefficients that are all 0
    "SIMPLE_PINHOLE": (0, 0),
    "PINHOLE": (1, 0),
    "SIMPLE_RADIAL": (2, 1),
    "RADIAL": (3, 2),
    "OPENCV": (4, 4),
    "FULL_OPENCV": (6, 8),
}


@pytest.mark.parametrize("text", [False, True])
@pytest.mark.parametrize("model", MODELS)
def test_every_camera_model_is_read_in_both_ways(tmp_path: Path, model: str, text: bool) -> None:
    number, count = MODELS[model]
    views = read_views(trees.colmap(tmp_path, SEEN, model=model, number=number, distortion=[0.0] * count, text=text))
    torch.testing.assert_close(views.cameras.world_to_camera, SEEN.world_to_camera, atol=2e-6, rtol=0)
    torch.testing.assert_close(views.cameras.intrinsics, SEEN.intrinsics)
    assert views.cameras.image_size == (16, 22)
    assert torch.equal(views.alpha, trees.rendered(SEEN).alpha)
    assert views.rgb is not None
    assert views.names == tuple(f"frame_{index:05d}" for index in range(5))


@pytest.mark.parametrize("suffix", [".png.png", ".png"])
def test_masks_have_the_name_of_the_image_with_or_without_its_suffix(tmp_path: Path, suffix: str) -> None:
    views = read_views(trees.colmap(tmp_path, SEEN, mask_suffix=suffix))
    assert torch.equal(views.alpha, trees.rendered(SEEN).alpha)


def test_without_masks_the_message_says_what_to_do(tmp_path: Path) -> None:
    folder = trees.colmap(tmp_path, SEEN, mask_suffix=".other.png")
    with pytest.raises(ViewSetError, match="there is no alpha of this view: no mask, .* masks made: --masks grabcut"):
        read_views(folder)
    assert read_cameras(folder).views == 5


@pytest.mark.parametrize("outputs", [("rgb", "alpha"), ("alpha",), ("rgb", "alpha", "depth")])
def test_round_trip(tmp_path: Path, outputs: tuple[str, ...]) -> None:
    rendering = trees.OpenGL()(trees.MESH, SEEN, outputs)
    assert write_views(tmp_path, SEEN, rendering, format="colmap") == tmp_path / "sparse/0/images.bin"
    views = read_views(tmp_path)
    torch.testing.assert_close(views.cameras.world_to_camera, SEEN.world_to_camera, atol=2e-6, rtol=0)
    torch.testing.assert_close(views.cameras.intrinsics, SEEN.intrinsics, atol=0, rtol=0)
    assert torch.equal(views.alpha, rendering.alpha)
    assert views.names == ("0000", "0001", "0002", "0003", "0004")
    if "rgb" in outputs:
        assert views.rgb is not None
        torch.testing.assert_close(views.rgb, rendering.rgb, atol=0.01, rtol=0)
        assert mode_of(tmp_path / "images/0000.png") == "RGB"
    else:
        assert views.rgb is None
    assert mode_of(tmp_path / "masks/0000.png.png") == "L"


def mode_of(path: Path) -> str:
    with Image.open(path) as image:
        return image.mode


def test_points_are_tracks_of_the_image_that_shows_them(tmp_path: Path) -> None:
    rendering = trees.OpenGL()(trees.MESH, SEEN, ("rgb", "alpha", "depth"))
    write_views(tmp_path, SEEN, rendering, format="colmap")
    content = (tmp_path / "sparse/0/points3D.bin").read_bytes()
    (count,) = struct.unpack_from("<Q", content)
    assert count == int(((rendering.alpha == 1) & (rendering.depth > 0)).sum()) > 100
    assert len(content) == 8 + count * 59
    images = images_of(tmp_path / "sparse/0/images.bin")
    seen = 0
    for number in range(count):
        point, x, y, z, *_, length, image, place = struct.unpack_from("<Q3d3BdQII", content, 8 + number * 59)
        u, v, of = images[image][place]
        assert (point, length) == (of, 1)
        found = SEEN[[image - 1]].project(torch.tensor([[x, y, z]]))[0, 0]
        assert found[:2].tolist() == pytest.approx([u, v], abs=1e-2)
        seen += 1
    assert seen == sum(map(len, images.values()))


def images_of(path: Path) -> dict[int, list[tuple[float, float, int]]]:
    """The points of each image by its number, as COLMAP's description of the file has them."""
    content, at, found = path.read_bytes(), 8, {}
    for _ in range(struct.unpack_from("<Q", content)[0]):
        number = struct.unpack_from("<I", content, at)[0]
        at = content.index(b"\0", at + 64) + 1
        (count,) = struct.unpack_from("<Q", content, at)
        found[number] = [struct.unpack_from("<ddQ", content, at + 8 + 24 * index) for index in range(count)]
        at += 8 + 24 * count
    assert at == len(content)
    return found


def test_views_that_differ_in_their_lens_have_cameras_of_their_own(tmp_path: Path) -> None:
    matrix = SEEN.intrinsics.clone()
    matrix[2, 0, 0] *= 1.5
    cameras = Cameras(SEEN.world_to_camera, matrix, SEEN.image_size)
    write_views(tmp_path, cameras, trees.rendered(cameras), format="colmap")
    assert struct.unpack_from("<Q", (tmp_path / "sparse/0/cameras.bin").read_bytes()) == (2,)
    torch.testing.assert_close(read_cameras(tmp_path).intrinsics, matrix, atol=0, rtol=0)


def test_orthographic_cameras_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    cameras = SEEN.to_orthographic(2.0)
    with pytest.raises(ViewSetError, match="The format colmap has no room for these cameras: .* Use nerfstudio"):
        write_views(tmp_path, cameras, trees.rendered(cameras), format="colmap")
    assert list(tmp_path.iterdir()) == []


def test_a_run_of_views_is_read_back(tmp_path: Path) -> None:
    outputs = ("rgb", "alpha", "depth", "normal", "face_index")
    (tmp_path / "models").mkdir()
    trees.MESH.save(tmp_path / "models/one.ply")
    flags = ("--views", "3", "--size", "24", "--outputs", *outputs, "--workers", "1", "--format", "colmap", "--quiet")
    assert cli.main(["views", str(tmp_path / "models"), "--out", str(tmp_path / "out"), *flags]) == 0
    making = PosedSettings(outputs=outputs, verify=True)
    found = PosedObjects(tmp_path / "out", making)[0]
    assert (
        PosedObjects(tmp_path / "out/objects", PosedSettings(outputs=outputs))[0].images.keys() == found.images.keys()
    )
    settings = ViewsSettings.from_json(json.loads((tmp_path / "out/config.json").read_text())["settings"])
    expected = RenderedObjects(open_collection(tmp_path / "models"), settings, making)[0]
    assert (found.cameras.near, found.cameras.far) == (expected.cameras.near, expected.cameras.far)
    torch.testing.assert_close(found.cameras.world_to_camera, expected.cameras.world_to_camera, atol=2e-6, rtol=0)
    assert torch.equal(found.images["face_index"], expected.images["face_index"])
    torch.testing.assert_close(found.images["depth"], expected.images["depth"], atol=10 / 65535, rtol=0)


def two_sizes(folder: Path, second: tuple[int, int]) -> Path:
    """Five images, of which the last two are of a camera of another size, with the same field of view."""
    trees.colmap(folder, SEEN)
    height, width = second
    place = folder / "sparse/0"
    cameras = (place / "cameras.bin").read_bytes()
    fx, fy, cx, cy = struct.unpack_from("<4d", cameras, 32)
    scale = width / 22, height / 16
    more = struct.pack("<iiQQ4d", 2, 1, width, height, fx * scale[0], fy * scale[1], cx * scale[0], cy * scale[1])
    (place / "cameras.bin").write_bytes(struct.pack("<Q", 2) + cameras[8:] + more)
    images = bytearray((place / "images.bin").read_bytes())
    for name in (b"frame_00003.png", b"frame_00004.png"):
        at = images.index(name)
        images[at - 4 : at] = struct.pack("<I", 2)
        for path in (folder / "images" / name.decode(), folder / "masks" / f"{name.decode()}.png"):
            Image.open(path).resize((width, height), Image.Resampling.NEAREST).save(path)
    (place / "images.bin").write_bytes(bytes(images))
    return folder


def test_images_of_one_aspect_are_resized_to_the_smallest(tmp_path: Path) -> None:
    views = read_views(two_sizes(tmp_path, (32, 44)))
    assert views.cameras.image_size == (16, 22)
    torch.testing.assert_close(views.cameras.intrinsics, SEEN.intrinsics, atol=1e-5, rtol=0)
    expected = trees.rendered(SEEN).alpha
    assert torch.equal(views.alpha[:3], expected[:3])
    assert ((views.alpha - expected)[3:].abs() < 0.51).all()
    assert (views.alpha - expected)[3:].abs().mean() < 0.05
    assert ((views.alpha > 0.5) == (expected > 0.5))[3:].float().mean() > 0.99


def test_images_of_several_aspects_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ViewSetError, match="sparse/0: all images .* one aspect; got 16 x 22 and 44 x 32 .*folder of"):
        read_cameras(two_sizes(tmp_path, (44, 32)))


def test_large_images_are_read_from_smaller_copies(tmp_path: Path) -> None:
    """Of 1600 x 2200 pixels, as the model says, those of half the size are small enough."""
    trees.colmap(tmp_path, SEEN)
    path = tmp_path / "sparse/0/cameras.bin"
    content = path.read_bytes()
    numbers = [100 * value for value in struct.unpack_from("<QQ4d", content, 16)]
    path.write_bytes(content[:16] + struct.pack("<QQ4d", *map(int, numbers[:2]), *numbers[2:]))
    for what in ("images", "masks"):
        (tmp_path / what).rename(tmp_path / f"{what}_2")
    views = read_views(tmp_path)
    torch.testing.assert_close(views.cameras.intrinsics, SEEN.intrinsics, atol=1e-4, rtol=0)
    assert torch.equal(views.alpha, trees.rendered(SEEN).alpha)


def cut(count: int) -> Callable[[bytes], bytes]:
    return lambda content: content[:count]


def put(at: int, layout: str, *values: float) -> Callable[[bytes], bytes]:
    size = struct.calcsize(layout)
    return lambda content: content[:at] + struct.pack(layout, *values) + content[at + size :]


NAN, HUGE = float("nan"), 2**63
IMAGE = 8  # where the first one begins


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        ("cameras.bin", cut(0), "broken or truncated: more must follow after byte 0, and it has 0"),
        ("cameras.bin", cut(40), "broken or truncated: more must follow after byte 32"),
        ("cameras.bin", put(0, "<Q", HUGE), f"it says that {HUGE} entries follow after byte 8, and it has 64"),
        ("cameras.bin", put(0, "<Q", 0), "56 bytes are left after what its count says"),
        ("cameras.bin", put(12, "<i", 7), "camera 1 is of the model number 7, which is not known here; known: "),
        ("cameras.bin", put(16, "<Q", HUGE), f"camera 1: an image must have 1 to 32767 pixels a side; got 16 x {HUGE}"),
        ("cameras.bin", put(24, "<Q", 0), "camera 1: an image must have 1 to 32767 pixels a side; got 0 x 22"),
        ("cameras.bin", put(32, "<d", NAN), "camera 1: a camera must have finite parameters and positive"),
        ("cameras.bin", put(32, "<d", -5.0), "camera 1: a camera must have finite parameters and positive"),
        ("images.bin", cut(-1), "broken or truncated"),
        ("images.bin", cut(100), "broken or truncated"),
        ("images.bin", put(0, "<Q", HUGE), f"it says that {HUGE} entries follow"),
        ("images.bin", put(0, "<Q", 4), "bytes are left after what its count says"),
        ("images.bin", put(0, "<Q", 6), "broken or truncated"),
        ("images.bin", put(IMAGE + 4, "<d", NAN), "'frame_00004.png' must have a quaternion"),
        ("images.bin", put(IMAGE + 4, "<4d", 0, 0, 0, 0), "'frame_00004.png' must have a quaternion .not of zeros."),
        ("images.bin", put(IMAGE + 60, "<I", 9), "'frame_00004.png' is of camera 9, which .*cameras.bin does not have"),
        ("images.bin", put(IMAGE + 64, "<1s", b"\0"), "no name of an image at byte 72"),
        ("images.bin", put(IMAGE + 64, "<2s", b"\xff\xfe"), "no name of an image at byte 72"),
        ("images.bin", put(IMAGE + 80, "<Q", HUGE), f"it says that {HUGE} entries follow"),
        ("images.bin", lambda content: content.replace(b"00003.png", b"00002.png"), "'frame_00002.png' is there twice"),
        ("images.bin", lambda content: bytes(8), "has no image"),
    ],
)  # fmt: skip
def test_binary_files_that_are_truncated_or_lie(
    tmp_path: Path, file: str, change: Callable[[bytes], bytes], message: str
) -> None:
    path = trees.colmap(tmp_path, SEEN, images=False) / "sparse/0" / file
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(ViewSetError, match=f"{file}: .*{message}"):
        read_cameras(tmp_path)


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        (
            "cameras.txt",
            "1 PINHOLE 22",
            "1 PINHOLE wide",
            "line 2 must be CAMERA_ID MODEL WIDTH HEIGHT PARAMS; got '1 P",
        ),
        (
            "cameras.txt",
            "1 PINHOLE",
            "1 FOV",
            "line 2 is of the model FOV, which is not known here; .*image_undistorter",
        ),
        ("cameras.txt", "1 PINHOLE", "1 OPENCV", "line 2 must have 8 parameters, as OPENCV has; got 4"),
        ("images.txt", "11 ", "11 x", "line 2 must be IMAGE_ID QW QX QY QZ TX TY TZ CAMERA_ID NAME; got '11 x"),
        ("images.txt", "\n\n", "\n", "line 2 must be followed by a line of its points"),
    ],
)
def test_text_files_that_are_broken(tmp_path: Path, file: str, old: str, new: str, message: str) -> None:
    path = trees.colmap(tmp_path, SEEN, text=True, images=False) / "sparse/0" / file
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(ViewSetError, match=f"{file}: {message}"):
        read_cameras(tmp_path)


def test_a_number_that_is_too_large_for_float32_is_named(tmp_path: Path) -> None:
    path = trees.colmap(tmp_path, SEEN, images=False) / "sparse/0/images.bin"
    path.write_bytes(put(IMAGE + 36, "<d", 1e300)(path.read_bytes()))
    with pytest.raises(ViewSetError, match="sparse/0: world_to_camera and intrinsics must be finite"):
        read_cameras(tmp_path)


def test_a_name_that_leads_out_of_the_folder_is_refused_even_where_links_are_followed(tmp_path: Path) -> None:
    folder = trees.colmap(tmp_path / "views", SEEN)
    path = folder / "sparse/0/images.bin"
    path.write_bytes(path.read_bytes().replace(b"frame_00001.png", b"../../other.png"))
    trees.save(tmp_path / "other.png", np.zeros((16, 22, 4), np.uint8))
    for follow_links in (False, True):
        with pytest.raises(ViewSetError, match=r"images/../../other.png: leads out of its folder"):
            read_views(folder, follow_links=follow_links)


@pytest.mark.parametrize(("distance", "near", "far"), [(3.0, 0.01, 100), (3000.0, 3, 30000), (0.03, 0.003, 100)])
def test_near_and_far_suit_the_size_of_the_scene(tmp_path: Path, distance: float, near: float, far: float) -> None:
    seen = Cameras.sphere(8, distance, image_size=(16, 22))
    path = tmp_path / "transforms.json"
    path.write_text(json.dumps(to_nerfstudio(seen)))
    for place in (trees.colmap(tmp_path / "colmap", seen, images=False), path):
        found = read_cameras(place)
        assert (found.near, found.far) == pytest.approx((near, far), rel=0.1)
    path.write_text(json.dumps(to_nerfstudio(seen) | {"near": 0.2, "far": 7}))
    assert (read_cameras(path).near, read_cameras(path).far) == (0.2, 7)


def test_a_missing_image_and_a_missing_model_are_named(tmp_path: Path) -> None:
    folder = trees.colmap(tmp_path, SEEN)
    (folder / "images/frame_00002.png").unlink()
    with pytest.raises(ViewSetError, match="view 2: .*images/frame_00002.png: no such file"):
        read_views(folder)
    (folder / "sparse/0/images.bin").unlink()
    with pytest.raises(ViewSetError, match="sparse/0/images.bin: no such file"):
        read_views(folder)


def test_images_of_two_folders_may_share_a_name(tmp_path: Path) -> None:
    folder = trees.colmap(tmp_path, SEEN)
    path = folder / "sparse/0/images.bin"
    names = path.read_bytes().replace(b"frame_00001.png", b"a/one_front.png")
    path.write_bytes(names.replace(b"frame_00002.png", b"b/one_front.png"))
    for number, name in ((1, "a/one_front.png"), (2, "b/one_front.png")):
        for what, suffix in (("images", ""), ("masks", ".png")):
            (folder / what / name).parent.mkdir(exist_ok=True)
            (folder / what / f"frame_0000{number}.png{suffix}").rename(folder / what / f"{name}{suffix}")
    views = read_views(folder)
    assert views.names[:3] == ("images/a/one_front", "images/b/one_front", "images/frame_00000")
    assert torch.equal(views.alpha[0], trees.rendered(SEEN).alpha[1])
