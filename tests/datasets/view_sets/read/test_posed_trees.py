"""Folders that others have made are read, and errors in them are named."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from render3d.conventions import from_r2n2
from render3d.datasets import PosedObjects, PosedSettings
from render3d.errors import DatasetError


@pytest.fixture
def genuine(tmp_path: Path) -> Path:
    """A tree like ShapeNetRendering: the first rows of an object as its authors' tool writes them."""
    rows = [
        "131.918835618 27.5362594651 0 0.842303978463 25",
        "357.124498181 25.0276203547 0 0.710347081061 25",
    ]
    for synset, model in (("02691156", "1a04"), ("03001627", "1a6f"), ("03001627", "2b00")):
        folder = tmp_path / synset / model / "rendering"
        folder.mkdir(parents=True)
        (folder / "rendering_metadata.txt").write_text("\n".join(rows) + "\n")
        (folder / "renderings.txt").write_text("00.png\n01.png\n")
        for number in range(2):
            pixels = np.full((137, 137, 4), (200, 100, 0, 255), np.uint8)
            pixels[:, : 60 + number] = 0
            Image.fromarray(pixels).save(folder / f"{number:02d}.png")
    return tmp_path


def test_trees_of_shapenet_rendering_are_read(genuine: Path) -> None:
    dataset = PosedObjects(genuine)
    assert dataset.ids == ("02691156/1a04", "03001627/1a6f", "03001627/2b00")
    assert dataset.classes == ("02691156", "03001627")
    example = dataset[2]
    assert example.label == 1
    assert example.images["alpha"].mean((-1, -2)).flatten().tolist() == pytest.approx([77 / 137, 76 / 137])
    color = example.images["rgb"][0, :, 0, -1]
    torch.testing.assert_close(color, torch.tensor([0.577580, 0.127438, 0.0]), atol=1e-5, rtol=0)  # sRGB, by its tables
    rows = torch.tensor([[131.918835618, 27.5362594651, 0, 0.842303978463, 25]])
    torch.testing.assert_close(example.cameras.world_to_camera[:1], from_r2n2(rows).world_to_camera)


def test_images_of_another_size_have_the_same_field_of_view(genuine: Path) -> None:
    for path in (genuine / "02691156/1a04/rendering").glob("*.png"):
        Image.new("RGBA", (224, 224)).save(path)
    cameras = PosedObjects(genuine)[0].cameras
    assert cameras.image_size == (224, 224)
    assert float(cameras.intrinsics[0, 0, 0]) == pytest.approx(35 / 32 * 224)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("renderings.txt", "00.png\n", "rendering_metadata.txt has 2 lines and .*renderings.txt 1"),
        ("renderings.txt", "", "renderings.txt: must have one line a view; it is empty"),
        ("renderings.txt", "00.png\n../../x.png\n", "leads out of its folder"),
        ("renderings.txt", "00.png\n/etc/passwd\n", "passwd: no such file"),
        ("rendering_metadata.txt", "1 2 3\n4 5 6\n", "rendering_metadata.txt: must have lines of azimuth"),
        ("rendering_metadata.txt", "1 2 0 one 25\n" * 2, "rendering_metadata.txt: must have lines of azimuth"),
        ("rendering_metadata.txt", "1 2 0 0 25\n" * 2, "The distance ratio"),
        ("rendering_metadata.txt", "1 2 0 nan 25\n" * 2, "rendering_metadata.txt: must have"),
        ("rendering_metadata.txt", None, "rendering_metadata.txt: no such file"),
        ("01.png", "no image", "01.png: cannot be read as an image"),
        ("01.png", None, "01.png: no such file"),
    ],
)
def test_a_tree_that_is_damaged_is_an_error_that_names_the_file(
    genuine: Path, name: str, content: str | None, message: str
) -> None:
    path = genuine / "02691156/1a04/rendering" / name
    path.unlink()
    if content is not None:
        path.write_text(content)
    with pytest.raises(DatasetError, match=message):
        PosedObjects(genuine)[0]


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"cameras": {"near": 1, "far": 2}, "outputs": ["depth"]}'])
def test_facts_that_are_damaged_are_an_error_that_names_the_file(genuine: Path, content: str) -> None:
    path = genuine / "02691156/1a04/object.json"
    path.write_text(content)
    with pytest.raises(DatasetError, match=str(path)):
        PosedObjects(genuine)[0]


def test_what_shapenet_rendering_lacks_is_an_error(genuine: Path) -> None:
    with pytest.raises(DatasetError, match=r"rendering/00.png: there is no depth of this view"):
        PosedObjects(genuine, PosedSettings(outputs=("rgb", "depth")))[0]
    with pytest.raises(DatasetError, match="object.json: there are no checksums of it"):
        PosedObjects(genuine, PosedSettings(verify=True))[0]


def test_scenes_of_nerf_without_sizes_and_suffixes_are_read(tmp_path: Path) -> None:
    Image.new("RGBA", (9, 6), (255, 0, 0, 255)).save(tmp_path / "r_0.png")
    pose = np.eye(4).tolist()
    transforms = {"camera_angle_x": 0.7, "frames": [{"file_path": "./r_0", "transform_matrix": pose}]}
    (tmp_path / "transforms.json").write_text(json.dumps(transforms))
    dataset = PosedObjects(tmp_path)
    example = dataset[0]
    assert (example.id, example.label, dataset.classes) == (tmp_path.name, -1, ())
    assert example.cameras.image_size == (6, 9)
    assert example.images["rgb"].shape == (1, 3, 6, 9)
