"""What is damaged, or leads astray, is an error that names the file."""

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from render3d.datasets import PosedObjects, PosedSettings
from render3d.datasets.view_sets.write.settings import OUTPUTS
from render3d.errors import DatasetError

EVERYTHING = PosedSettings(outputs=OUTPUTS)
FORMATS = ("nerfstudio", "r2n2", "shards")


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
        ({"depth_unit_scale_factor": 0}, "depth_unit_scale_factor must be a positive number.*; got 0"),
        ({"near": 9.0}, "near must be less than far"),
        ({"normal_space": "camera"}, "normals are not said to be in world axes"),
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
        ({"w": "wide"}, r"frames\[1\]: w must be a finite number; got 'wide'"),
        ({"w": None}, "'h' and 'w', the size of its images in pixels, must be there"),
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
    with pytest.raises(DatasetError, match="images/0001.png: is a link that leads out .* give follow_links=True"):
        PosedObjects(scene)[0]
    assert PosedObjects(scene, PosedSettings(follow_links=True))[0].id == "chair/one"


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


@pytest.mark.parametrize("format", FORMATS)
def test_a_single_bit_is_found_where_checksums_are_compared(
    format: str, formats: dict[str, Path], tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(formats[format], tmp_path / "run"))
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


@pytest.mark.parametrize("content", ["", "[]", '{"format": "nerfstudio", "objects": [{"id": "a"}]}'])
def test_a_list_that_is_damaged_is_refused(content: str, tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(DatasetError, match=r"manifest.json: no list of views, or damaged"):
        PosedObjects(tmp_path)


@pytest.mark.parametrize("place", ["../a", "objects/../../a", "/a"])
def test_a_list_whose_places_lead_out_of_the_folder_is_refused(place: str, tmp_path: Path) -> None:
    item = {"id": "a", "label": "", "split": "", "place": place, "sha256": ""}
    (tmp_path / "manifest.json").write_text(json.dumps({"format": "nerfstudio", "objects": [item]}))
    with pytest.raises(DatasetError, match="leads out of the folder"):
        PosedObjects(tmp_path)


def test_a_run_that_is_not_finished_is_refused(formats: dict[str, Path], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(formats["nerfstudio"], tmp_path / "run"))
    (folder / "manifest.json").unlink()
    with pytest.raises(DatasetError, match="the run has no manifest.json yet: it is not finished"):
        PosedObjects(folder)


def test_a_folder_of_nothing_is_refused(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(DatasetError, match=f"{folder}: holds no views"):
            PosedObjects(folder)
