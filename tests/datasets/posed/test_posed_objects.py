"""What is read is what was rendered, from whichever layout; what is damaged is named."""

import dataclasses
import hashlib
import json
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from pictures import R2N2_VIEWS, SMALL, make_shapes, views_settings
from PIL import Image
from scipy import stats
from torch.utils.data import DataLoader

from render3d import Cameras, Rendering, collate
from render3d.color import linear_to_srgb
from render3d.conventions import from_r2n2
from render3d.datasets import PosedObject, PosedObjects, PosedSettings, PosedShards, RenderedObjects
from render3d.datasets.generation.settings import OUTPUTS
from render3d.datasets.shapes import Shape
from render3d.errors import DatasetError, MeshError
from render3d.views import read_views, write_views

EVERYTHING = PosedSettings(outputs=OUTPUTS)
LAYOUTS = ("nerfstudio", "r2n2", "shards")


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    """A folder of one scene, with all kinds of images."""
    shape = make_shapes(tmp_path / "shapes", ["a"])[0]
    rendered = RenderedObjects([shape], views_settings("nerfstudio"), EVERYTHING)[0]
    write_views(tmp_path / "scenes" / "chair" / "one", rendered.cameras, Rendering(rendered.images))
    return tmp_path / "scenes"


def assert_same_cameras(found: Cameras, expected: Cameras) -> None:
    torch.testing.assert_close(found.world_to_camera, expected.world_to_camera, atol=2e-6, rtol=0)
    torch.testing.assert_close(found.intrinsics, expected.intrinsics)
    assert (found.image_size, found.near, found.far) == (expected.image_size, expected.near, expected.far)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_an_example_is_what_was_rendered_up_to_the_rounding_of_files(
    layout: str, layouts: dict[str, Path], shapes: list[Shape]
) -> None:
    rendered = RenderedObjects(shapes, views_settings(layout, R2N2_VIEWS), EVERYTHING)
    read = PosedObjects(layouts[layout], EVERYTHING)
    assert read.ids == rendered.ids
    assert read.classes == rendered.classes == ("__lamp__", "chair", "table")
    for number in range(0, len(read), 2):
        found, made = read[number], rendered[number]
        assert (found.id, found.label) == (made.id, made.label)
        assert_same_cameras(found.cameras, made.cameras)
        for name in OUTPUTS:
            assert found.images[name].dtype == made.images[name].dtype, name
            assert found.images[name].shape == made.images[name].shape, name
        half = 0.5 / 255 + 1e-6
        colors = [linear_to_srgb(example.images["rgb"]) for example in (found, made)]
        torch.testing.assert_close(*colors, atol=half, rtol=0)
        torch.testing.assert_close(found.images["alpha"], made.images["alpha"], atol=0, rtol=0)
        assert torch.equal(found.images["face_index"], made.images["face_index"])
        unit = made.cameras.far / 65535
        torch.testing.assert_close(found.images["depth"], made.images["depth"], atol=0.51 * unit, rtol=0)
        assert torch.equal(found.images["depth"] == 0, made.images["depth"] == 0)
        torch.testing.assert_close(found.images["normal"], made.images["normal"], atol=3 * half, rtol=0)
        covered = made.images["alpha"] == 1
        length = found.images["normal"].norm(dim=1, keepdim=True)
        torch.testing.assert_close(length, covered.float())


def test_all_layouts_give_the_same_pictures_and_cameras(layouts: dict[str, Path]) -> None:
    first, second = (PosedObjects(layouts[name], EVERYTHING) for name in ("nerfstudio", "r2n2"))
    stream = {example.id: example for example in PosedShards(layouts["shards"], EVERYTHING, rank=0, world_size=1)}
    assert stream.keys() == {*first.ids} == {*second.ids}
    for one, other in zip(first, second, strict=False):
        streamed = stream[one.id]
        assert one.id == other.id
        assert one.label == other.label == streamed.label
        for name in OUTPUTS:
            assert torch.equal(one.images[name], other.images[name]), name
            assert torch.equal(one.images[name], streamed.images[name]), name
        assert_same_cameras(other.cameras, one.cameras)
        assert torch.equal(streamed.cameras.world_to_camera, one.cameras.world_to_camera)


def test_colours_and_coverage_are_those_that_read_views_reads(scene: Path) -> None:
    found, views = PosedObjects(scene)[0], read_views(scene / "chair" / "one")
    assert views.rgb is not None
    assert torch.equal(found.images["rgb"], views.rgb)
    assert torch.equal(found.images["alpha"], views.alpha)
    assert (found.id, found.label, PosedObjects(scene).classes) == ("chair/one", 0, ("chair",))


# The choice of views, classes and splits


def test_the_views_of_an_example_are_a_function_of_seed_epoch_and_id(
    layouts: dict[str, Path], shapes: list[Shape]
) -> None:
    whole = PosedObjects(layouts["nerfstudio"])
    some = PosedSettings(views=2, seed=5)
    for epoch in range(3):
        datasets = [
            PosedObjects(layouts["nerfstudio"], some),
            PosedObjects(layouts["r2n2"], dataclasses.replace(some, classes=("table", "chair"))),
            RenderedObjects(shapes, views_settings("r2n2", R2N2_VIEWS), some),
        ]
        chosen = []
        for dataset in datasets:
            dataset.set_epoch(epoch)
            example = dataset[dataset.ids.index("chair/a.b")]
            assert example.images["alpha"].shape == (2, 1, 137, 137)
            chosen.append(which_views(example, whole[whole.ids.index("chair/a.b")]))
        assert chosen[0] == chosen[1] == chosen[2]
        stream = PosedShards(layouts["shards"], some, rank=0, world_size=1)
        stream.set_epoch(epoch)
        streamed = next(example for example in stream if example.id == "chair/a.b")
        assert which_views(streamed, whole[whole.ids.index("chair/a.b")]) == chosen[0]


def which_views(example: PosedObject, whole: PosedObject) -> list[int]:
    """The numbers of an example's views among all of its object, each with the camera that belongs to it."""
    numbers = []
    for image, pose in zip(example.images["alpha"], example.cameras.world_to_camera, strict=True):
        same = [bool((image - other).abs().max() == 0) for other in whole.images["alpha"]]
        numbers.append(same.index(True))
        torch.testing.assert_close(pose, whole.cameras.world_to_camera[numbers[-1]], atol=2e-6, rtol=0)
    return numbers


def test_each_order_of_views_is_as_likely_as_any() -> None:
    settings = PosedSettings(views=2)
    counts = Counter(
        tuple(settings.chosen_views(f"object/{number}", 4, epoch)) for number in range(40) for epoch in range(60)
    )
    assert len(counts) == 12
    assert all(len(set(pair)) == 2 for pair in counts)
    assert stats.chisquare(list(counts.values())).pvalue > 1e-4


def test_views_of_splits_that_are_fixed_are_the_same_in_all_epochs() -> None:
    for split, orders in (("train", 30), (None, 30), ("validation", 1), ("test", 1)):
        settings = PosedSettings(views=6, split=split)  # type: ignore[arg-type]
        assert len({tuple(settings.chosen_views("a", 9, epoch)) for epoch in range(30)}) == orders


def test_labels_are_those_of_the_whole_collection_whatever_the_split(layouts: dict[str, Path]) -> None:
    train, test = (PosedObjects(layouts["nerfstudio"], PosedSettings(split=split)) for split in ("train", "test"))
    assert train.classes == test.classes == ("__lamp__", "chair", "table")
    assert sorted([*train.ids, *test.ids]) == list(PosedObjects(layouts["nerfstudio"]).ids)
    assert test.ids == ("__lamp__/Z", "chair/a_b")
    assert [test[number].label for number in range(2)] == [0, 1]


@pytest.mark.parametrize("kind", ["folder", "shards", "rendered"])
def test_classes_that_are_given_are_the_labels_in_their_order(
    kind: str, layouts: dict[str, Path], shapes: list[Shape]
) -> None:
    settings = PosedSettings(classes=("table", "chair"))
    datasets = {
        "folder": lambda: PosedObjects(layouts["nerfstudio"], settings),
        "shards": lambda: PosedShards(layouts["shards"], settings, rank=0, world_size=1),
        "rendered": lambda: RenderedObjects(shapes, views_settings("r2n2", R2N2_VIEWS), settings),
    }
    dataset = datasets[kind]()
    found = (
        {example.id: example.label for example in map(dataset.__getitem__, range(4))}
        if kind != "shards"
        else {example.id: example.label for example in dataset}
    )
    assert found == {"chair/a": 1, "chair/a.b": 1, "chair/a_b": 1, "table/x/y": 0}
    assert dataset.classes == ("table", "chair")


def test_an_object_of_no_class_has_the_label_minus_one(layouts: dict[str, Path]) -> None:
    dataset = PosedObjects(layouts["nerfstudio"])
    assert dataset[dataset.ids.index("lone.one")].label == -1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"outputs": ("rgb", "color")}, "outputs must be one of"),
        ({"outputs": "rgb"}, "outputs must be a tuple"),
        ({"views": 0}, "views must be at least 1"),
        ({"classes": "chair"}, "classes must be a tuple"),
        ({"split": "val"}, "split must be one of"),
        ({"seed": -1}, "seed must be from 0"),
    ],
)
def test_settings_out_of_range_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        PosedSettings(**settings)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (PosedSettings(classes=("sofa",)), "classes must be of __lamp__, chair, table; got sofa"),
        (PosedSettings(split="validation"), "No object is of the split 'validation'; there are test, train"),
        (PosedSettings(split="test", classes=("table",)), "No object of the split 'test' is of the classes table"),
    ],
)
def test_a_choice_that_leaves_nothing_is_refused(
    settings: PosedSettings, message: str, layouts: dict[str, Path], shapes: list[Shape]
) -> None:
    with pytest.raises(DatasetError, match=message):
        PosedObjects(layouts["nerfstudio"], settings)
    with pytest.raises(DatasetError, match=message):
        PosedShards(layouts["shards"], settings)
    with pytest.raises(DatasetError, match=message):
        RenderedObjects(shapes, views_settings("r2n2", R2N2_VIEWS), settings)


def test_more_views_than_there_are_is_an_error(scene: Path) -> None:
    with pytest.raises(DatasetError, match="views must be at most those that objects have; got 5, and chair/one has 4"):
        PosedObjects(scene, PosedSettings(views=5))[0]


def test_batches_hold_pictures_and_cameras_whatever_the_workers(layouts: dict[str, Path]) -> None:
    dataset = PosedObjects(layouts["nerfstudio"], PosedSettings(outputs=("depth",), views=2))
    batches = [list(DataLoader(dataset, batch_size=3, collate_fn=collate, num_workers=workers)) for workers in (0, 2)]
    for one, other in zip(*batches, strict=True):
        assert one.images["depth"].shape == (3, 2, 1, 137, 137)
        assert one.cameras.leading_shape == (3, 2)
        assert one.id == other.id
        assert torch.equal(one.label, other.label)
        assert torch.equal(one.images["depth"], other.images["depth"])


def test_indices_are_those_of_a_list(scene: Path) -> None:
    dataset = PosedObjects(scene)
    assert dataset[-1].id == dataset[0].id
    with pytest.raises(IndexError):
        dataset[1]


# Trees that others have made


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


# Damage


def edit(scene: Path, **changes: object) -> None:
    path = scene / "chair/one/transforms.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def edit_frame(scene: Path, **changes: object) -> None:
    path = scene / "chair/one/transforms.json"
    frames = json.loads(path.read_text())["frames"]
    edit(scene, frames=[frames[0], {**frames[1], **changes}, *frames[2:]])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"frames": []}, "'frames' must be a list of at least one frame"),
        ({"frames": [3]}, "'frames' must be a list of at least one frame"),
        ({"depth_unit_scale_factor": 0}, "depth_unit_scale_factor must be a positive number; got 0"),
        ({"near": 9.0}, "near must be less than far"),
        ({"normal_space": "camera"}, "normals are not said to be in world axes"),
        ({"w": "wide"}, "must be there"),
    ],
)
def test_a_description_that_is_wrong_is_an_error(scene: Path, change: dict[str, object], message: str) -> None:
    edit(scene, **change)
    with pytest.raises(DatasetError, match=f"{scene / 'chair/one'}.*{message}"):
        PosedObjects(scene, EVERYTHING)[0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"file_path": "../../../outside.png"}, "leads out of its folder"),
        ({"file_path": "/etc/passwd"}, "leads out of its folder"),
        ({"depth_file_path": "images/0001.png"}, "images/0001.png: depth must be a grey image of 16 bits"),
        ({"normal_file_path": "depth/0001.png"}, "depth/0001.png: normals must be an image of three channels"),
        ({"face_index_file_path": "images/0001.png"}, "images/0001.png: no face indices"),
        ({"depth_file_path": "small.png"}, "small.png: is 2 x 3 .height x width. and its camera 5 x 7"),
        ({"depth_file_path": None}, "images/0001.png: there is no depth of this view"),
        ({"mask_path": "none.png"}, "none.png: no such file"),
    ],
)
def test_a_frame_that_is_wrong_is_an_error_that_names_the_file(
    scene: Path, change: dict[str, object], message: str
) -> None:
    Image.fromarray(np.ones((2, 3), np.uint16)).save(scene / "chair/one/small.png")
    edit_frame(scene, **change)
    with pytest.raises(DatasetError, match=message):
        PosedObjects(scene, EVERYTHING)[0]


def test_a_link_out_of_the_folder_is_not_followed(scene: Path) -> None:
    path = scene / "chair/one/images/0001.png"
    path.rename(scene / "outside.png")
    path.symlink_to(scene / "outside.png")
    with pytest.raises(DatasetError, match="images/0001.png: leads out of its folder"):
        PosedObjects(scene)[0]


@pytest.mark.parametrize("name", ["images/0002.png", "depth/0002.png", "normals/0002.png", "face_index/0002.npy"])
def test_a_file_that_is_cut_or_gone_is_an_error_that_names_it(scene: Path, name: str) -> None:
    path = scene / "chair/one" / name
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(DatasetError, match=f"{path}: .*(broken|truncated)"):
        PosedObjects(scene, EVERYTHING)[0]
    path.unlink()
    with pytest.raises(DatasetError, match=f"{path}: no such file"):
        PosedObjects(scene, EVERYTHING)[0]


def test_an_array_that_claims_to_be_huge_is_refused_without_taking_memory(scene: Path) -> None:
    path = scene / "chair/one/face_index/0001.npy"
    content = path.read_bytes()
    claimed = content.replace(b"(5, 7)", b"(5000000000, 700000)")[: len(content)]
    path.write_bytes(claimed)
    with pytest.raises(DatasetError, match=f"{path}: no face indices"):
        PosedObjects(scene, EVERYTHING)[0]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_single_bit_is_found_where_checksums_are_compared(
    layout: str, layouts: dict[str, Path], tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(layouts[layout], tmp_path / "run"))
    verified = PosedObjects(folder, PosedSettings(outputs=("depth",), verify=True))
    number = verified.ids.index("table/x/y")
    assert verified[number].images["depth"].shape == (3, 1, 137, 137)  # all is as it was
    path = next(path for path in folder.rglob("depth/*1.png") if "table" in path.parts)
    flip(path)
    with pytest.raises(DatasetError, match=f"{path}: damaged: not the file that was stored"):
        verified[number]
    facts = path.parents[1] / "object.json"
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()  # whoever changes a file may change its checksum
    changed = json.loads(facts.read_text())
    changed["files"][path.relative_to(path.parents[1]).as_posix()] = sha256
    facts.write_text(json.dumps(changed))
    with pytest.raises(DatasetError, match=f"{facts}: damaged"):
        verified[number]


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("content", ["", "[]", '{"layout": "nerfstudio", "objects": [{"id": "a"}]}'])
def test_a_list_that_is_damaged_is_refused(content: str, tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(DatasetError, match=r"manifest.json: no list of views, or damaged"):
        PosedObjects(tmp_path)


@pytest.mark.parametrize("place", ["../a", "objects/../../a", "/a"])
def test_a_list_whose_places_lead_out_of_the_folder_is_refused(place: str, tmp_path: Path) -> None:
    item = {"id": "a", "label": "", "split": "", "place": place, "sha256": ""}
    (tmp_path / "manifest.json").write_text(json.dumps({"layout": "nerfstudio", "objects": [item]}))
    with pytest.raises(DatasetError, match="leads out of the folder"):
        PosedObjects(tmp_path)


def test_a_run_that_is_not_finished_is_refused(layouts: dict[str, Path], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(layouts["nerfstudio"], tmp_path / "run"))
    (folder / "manifest.json").unlink()
    with pytest.raises(DatasetError, match="the run has no manifest.json yet: it is not finished"):
        PosedObjects(folder)


def test_a_folder_of_nothing_is_refused(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(DatasetError, match=f"{folder}: holds no views"):
            PosedObjects(folder)


# Rendering on the fly


def test_outputs_that_are_not_rendered_are_refused(shapes: list[Shape]) -> None:
    with pytest.raises(DatasetError, match="outputs must be of those rendered, rgb, alpha; got depth too"):
        RenderedObjects(shapes, views_settings("r2n2", SMALL, ("rgb", "alpha")), PosedSettings(outputs=("depth",)))


def test_a_mesh_that_cannot_be_read_is_an_error_when_it_is_needed(tmp_path: Path) -> None:
    shape = make_shapes(tmp_path, ["a"])[0]
    shape.path.write_text("OFF\n")
    dataset = RenderedObjects([shape], views_settings("nerfstudio"))
    with pytest.raises(MeshError, match="tetrahedron.off"):
        dataset[0]
