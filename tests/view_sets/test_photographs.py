"""Photographs as cameras and disks have them: turned, of several types, and elsewhere."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import trees
from PIL import Image

from render3d import cli
from render3d.errors import ViewSetError
from render3d.images.files import read_image, read_size
from render3d.view_sets import read_cameras, read_views

SEEN = trees.off_centre()
Turn = Image.Transpose
STORED = {  # how an upright image is stored, by the EXIF orientation that says so
    1: None,
    2: Turn.FLIP_LEFT_RIGHT,
    3: Turn.ROTATE_180,
    4: Turn.FLIP_TOP_BOTTOM,
    5: Turn.TRANSPOSE,
    6: Turn.ROTATE_90,
    7: Turn.TRANSVERSE,
    8: Turn.ROTATE_270,
}


def store(path: Path, upright: Image.Image, orientation: int, **how: object) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    turn = STORED[orientation]
    (upright if turn is None else upright.transpose(turn)).save(path, exif=exif, **how)


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp"])
@pytest.mark.parametrize("orientation", STORED)
def test_an_image_is_turned_as_its_orientation_says(tmp_path: Path, orientation: int, suffix: str) -> None:
    pixels = np.zeros((24, 40, 3), np.uint8)
    pixels[:8], pixels[:, :16, 1] = (200, 0, 0), 90
    path = tmp_path / f"photo.{suffix}"
    store(path, Image.fromarray(pixels), orientation, **({"lossless": True} if suffix == "webp" else {"quality": 98}))
    rgb, alpha = read_image(path)
    save = tmp_path / "upright.png"
    Image.fromarray(pixels).save(save)
    expected, _ = read_image(save)
    assert alpha is None
    assert rgb is not None
    assert expected is not None
    assert read_size(path, path.read_bytes()) == tuple(rgb.shape[-2:]) == (24, 40)
    assert (rgb - expected).abs().mean() < 0.01


def test_a_view_set_of_turned_photographs_is_as_its_cameras_see_it(tmp_path: Path) -> None:
    folder = trees.nerfstudio(tmp_path, SEEN)
    for path in (folder / "images").iterdir():
        store(path, Image.open(path).copy(), 6)
    views = read_views(folder)
    whole = trees.rendered(SEEN)
    assert views.rgb is not None
    assert torch.equal(views.alpha, whole.alpha)
    torch.testing.assert_close(views.rgb, whole.rgb, atol=0.01, rtol=0)


def test_links_that_lead_out_are_followed_where_that_is_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = trees.colmap(tmp_path / "views", SEEN)
    for what in ("images", "masks"):
        shutil.move(folder / what, tmp_path / "disk" / what)
        (folder / what).symlink_to(tmp_path / "disk" / what)
    with pytest.raises(ViewSetError, match="frame_00000.png: is a link that leads out of its folder, to .*disk"):
        read_views(folder)
    assert torch.equal(read_views(folder, follow_links=True).alpha, trees.rendered(SEEN).alpha)
    assert cli.main(["fit", str(folder), "--out", str(tmp_path / "fit")]) != 0
    assert "or, if you trust the links of this folder, give --follow-links." in capsys.readouterr().err
    assert not (tmp_path / "fit").exists()


def test_a_linked_folder_and_links_within_it_need_no_flag(tmp_path: Path) -> None:
    folder = trees.colmap(tmp_path / "views", SEEN)
    (folder / "images").rename(folder / "photos")
    (folder / "images").symlink_to("photos")
    (tmp_path / "link").symlink_to(folder)
    assert len(read_views(tmp_path / "link")) == 5


def test_cameras_are_read_through_links_too(tmp_path: Path) -> None:
    folder = trees.nerfstudio(tmp_path / "views", SEEN)
    (folder / "transforms.json").rename(tmp_path / "transforms.json")
    (folder / "transforms.json").symlink_to(tmp_path / "transforms.json")
    with pytest.raises(ViewSetError, match="transforms.json: is a link"):
        read_cameras(folder)
    assert read_cameras(folder, follow_links=True).views == 5
