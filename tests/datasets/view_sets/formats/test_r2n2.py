"""What is stored in R2N2's format is what readers of ShapeNetRendering expect."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from pictures import R2N2_VIEWS, SMALL, make_objects, run_views, views_settings
from PIL import Image

from render3d.conventions import from_r2n2
from render3d.datasets.collections import CollectionObject
from render3d.errors import ViewSetError
from render3d.view_sets.formats.r2n2 import R2N2


def test_the_folder_of_images_holds_them_and_two_text_files_and_nothing_else(formats: dict[str, Path]) -> None:
    """Readers such as Pix2Vox's take all its files but those two for images."""
    place = formats["r2n2"] / "chair" / "a"
    names = sorted(path.name for path in (place / "rendering").iterdir())
    assert names == ["00.png", "01.png", "02.png", "rendering_metadata.txt", "renderings.txt"]
    assert (place / "rendering" / "renderings.txt").read_text() == "00.png\n01.png\n02.png\n"
    assert sorted(path.name for path in place.iterdir()) == [
        "depth",
        "face_index",
        "normals",
        "object.json",
        "rendering",
    ]
    with Image.open(place / "rendering" / "00.png") as image:
        assert (image.mode, image.size) == ("RGBA", (137, 137))


def test_rows_of_the_metadata_lead_back_to_the_cameras(formats: dict[str, Path]) -> None:
    rows = np.loadtxt(formats["r2n2"] / "chair/a/rendering/rendering_metadata.txt", dtype=np.float32)
    assert rows.shape == (3, 5)
    assert np.all(rows[:, 4] == 25)
    cameras = from_r2n2(torch.from_numpy(rows))
    item = make_objects(formats["r2n2"].parent / "other", ["chair/a"])[0]
    from render3d.datasets.view_sets.write.job import RenderObject

    made = RenderObject(views_settings("r2n2", R2N2_VIEWS), Path()).render(item).cameras
    corners = torch.tensor([[x, y, z] for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)])
    torch.testing.assert_close(cameras.project(corners), made.project(corners), atol=1e-3, rtol=0)  # pixels
    torch.testing.assert_close(cameras.position, made.position, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("id_", "label", "place"),
    [
        ("02691156/1a", "airplane", "02691156/1a"),
        ("chair/train/chair_1", "chair", "chair/train_chair_1"),
        ("lone", "desk lamp", "desk_lamp/lone"),
        ("lone", "", "objects/lone"),
        ("lone", "../é", "____/lone"),
    ],
)
def test_an_object_lies_in_the_folder_of_its_class(id_: str, label: str, place: str) -> None:
    assert str(R2N2().place(CollectionObject(id_, Path("m.off"), Path(), label))) == place


def test_cameras_that_the_metadata_cannot_express_are_refused_before_anything_is_made(
    objects: list[CollectionObject], tmp_path: Path
) -> None:
    with pytest.raises(ViewSetError, match=r"format r2n2 has no room for these cameras.*137 x 137.*nerfstudio"):
        run_views(tmp_path / "out", objects, views_settings("r2n2", SMALL))
    assert not (tmp_path / "out").exists()


def test_pictures_without_colours_are_refused(objects: list[CollectionObject], tmp_path: Path) -> None:
    with pytest.raises(ViewSetError, match=re.escape("outputs must hold 'rgb'; got alpha, depth")):
        run_views(tmp_path / "out", objects, views_settings("r2n2", R2N2_VIEWS, ("alpha", "depth")))
