"""Libraries of furniture: catalogues, models turned upright, credits, and splits."""

import csv
import zipfile
from collections import Counter
from pathlib import Path

import pytest
import torch

from render3d.datasets.collections import (
    DEBIAN_FURNITURE,
    CollectionObject,
    MeshCollection,
    furniture,
    open_collection,
    with_splits,
)
from render3d.datasets.collections.layouts.properties import read_properties
from render3d.errors import DatasetError

TRIANGLE = "v 1 2 3 0.5 0.5 0.5\nv 1 0 0\nv 0 1 0\nvn 0 0 1\nvt 0 1\nf 1//1 2//1 3//1\n"
CATALOGUE = """\
# A comment, of Latin-1: \xe9
id=SweetHome3D#Test
provider=www.example.org
license=Creative Commons Attribution \xa9 Somebody

id#1=Some One#red chair
name#1=Chair 10\\u20ac
category#1=Living room
model#1=/some/chair/chair.obj
creator#1=Some One

id#2=Some One#lamp
name#2=Lamp
category#2=Lights
model#2=/some/lamp/lamp.obj
modelRotation#2=1 0 0 0 0 1 0 -1 0
"""


def library(path: Path, catalogue: str = CATALOGUE, **more: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("PluginFurnitureCatalog.properties", catalogue.encode("latin-1"))
        file.writestr("LICENSE.TXT", "as stated")
        for name in ("some/chair/chair.obj", "some/lamp/lamp.obj", *more):
            file.writestr(name, TRIANGLE)
    return path


def credits_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "CREDITS.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_library_becomes_objects_with_categories_splits_and_credits(tmp_path: Path) -> None:
    library(tmp_path / "archives" / "Test.sh3f")
    objects = furniture(tmp_path / "archives", tmp_path / "out")
    assert [(item.id, item.label) for item in objects] == [
        ("Some_One/lamp", "Lights"),
        ("Some_One/red_chair", "Living room"),
    ]
    assert all(item.split for item in objects)
    license_ = "Creative Commons Attribution \xa9 Somebody"
    assert {item.creator: item.licence for item in objects} == {"www.example.org": license_, "Some One": license_}
    assert credits_of(tmp_path / "out") == [
        {
            "id": "Some_One/lamp",
            "name": "Lamp",
            "creator": "www.example.org",
            "license": license_,
            "turned": "turned upright",
        },
        {"id": "Some_One/red_chair", "name": "Chair 10€", "creator": "Some One", "license": license_, "turned": ""},
    ]
    assert (tmp_path / "out" / "Test" / "LICENSE.TXT").read_text() == "as stated"
    again = open_collection(tmp_path / "out")
    assert with_splits(again) == objects


def test_models_are_turned_by_the_catalogue_once(tmp_path: Path) -> None:
    library(tmp_path / "archives" / "Test.sh3f")
    for _ in range(2):
        lamp, chair = furniture(tmp_path / "archives", tmp_path / "out")
        assert chair.path.read_text() == TRIANGLE
        # (x, y, z) becomes (x, z, -y); colours, coordinates and faces stay.
        assert lamp.path.read_text() == (
            "v 1 3 -2 0.5 0.5 0.5\nv 1 0 0\nv 0 0 -1\nvn 0 1 0\nvt 0 1\nf 1//1 2//1 3//1\n"
        )
        assert torch.equal(lamp.load().vertices[0], torch.tensor([1.0, 3.0, -2.0]))


def test_models_that_are_missing_or_lie_elsewhere_are_skipped_and_never_written(tmp_path: Path) -> None:
    outside = tmp_path / "outside.obj"
    outside.write_text(TRIANGLE)
    text = CATALOGUE.replace("/some/chair/chair.obj", "/some/gone.obj")
    text += "".join(
        f"id#{number}=E#{number}\nname#{number}=Evil\ncategory#{number}=Lights\nmodel#{number}={path}\n"
        f"modelRotation#{number}=0 1 0 1 0 0 0 0 -1\n"
        for number, path in ((3, "/../../outside.obj"), (4, "/../../../outside.obj"), (5, str(outside)))
    )
    library(tmp_path / "archives" / "Test.sh3f", text)
    objects = furniture(tmp_path / "archives", tmp_path / "out")
    assert [item.id for item in objects] == ["Some_One/lamp"]
    reasons = Counter(skip.reason.split()[0] for skip in objects.skipped)
    assert sum(reasons.values()) == 5  # the chair is there, and no catalogue names it
    assert reasons["lies"] >= 1
    assert outside.read_text() == TRIANGLE


def test_a_folder_that_holds_something_else_is_left_alone(tmp_path: Path) -> None:
    archive = library(tmp_path / "archives" / "Test.sh3f")
    other = tmp_path / "out" / "Test"
    other.mkdir(parents=True)
    with pytest.raises(DatasetError, match=r"Test is there, and not from this Test\.sh3f\. Remove it"):
        furniture(archive.parent, tmp_path / "out")
    assert list(other.iterdir()) == []
    furniture(archive.parent, tmp_path / "fresh")
    library(archive, more="some/new.obj")
    with pytest.raises(DatasetError, match=r"not from this Test\.sh3f"):
        furniture(archive.parent, tmp_path / "fresh")


def test_broken_libraries_leave_nothing(tmp_path: Path) -> None:
    for text, message in (
        (CATALOGUE.replace("category#2=Lights\n", ""), "has no entry 'category#2'; a model needs id"),
        (CATALOGUE.replace("0 0 1 0 -1 0", "0 0 1"), "lamp.obj cannot be turned by '1 0 0 0 0 1'"),
    ):
        archive = library(tmp_path / "archives" / "Test.sh3f", text)
        with pytest.raises(DatasetError, match=message):
            furniture(archive.parent, tmp_path / "out")
        assert list((tmp_path / "out").iterdir()) == []
    with pytest.raises(DatasetError, match=r"holds no \.sh3f files\. Debian has 820 models: apt install"):
        furniture(tmp_path, tmp_path / "out")


def test_properties_are_read_as_java_does() -> None:
    text = (
        "a=1\n b : 2\r\nc 3\n\n! a comment = 4\nd = over \\\n    two lines\ne\\=f=5\\\\\n"
        "g=\\u20ac\\t\\q\nempty=\nbare\na=6\nlast=\\"
    )
    assert read_properties(text.encode("latin-1")) == {
        "a": "6",
        "b": "2",
        "c": "3",
        "d": "over two lines",
        "e=f": "5\\",
        "g": "€\tq",
        "empty": "",
        "bare": "",
    }


def many(count: int) -> MeshCollection:
    return MeshCollection.of([CollectionObject(f"{number:05}", Path("a.obj"), Path()) for number in range(count)])


def test_splits_are_those_of_independent_draws() -> None:
    count = 20_000
    sizes = Counter(item.split for item in with_splits(many(count)))
    for split, share in (("train", 0.8), ("validation", 0.1), ("test", 0.1)):
        deviation = (count * share * (1 - share)) ** 0.5
        assert abs(sizes[split] - count * share) < 4 * deviation  # three checks: wrong once in 5,000 seeds
    assert set(sizes) == {"train", "validation", "test"}


def test_a_split_depends_on_the_id_and_the_seed_alone() -> None:
    all_of_them = {item.id: item.split for item in with_splits(many(1000))}
    fewer = {item.id: item.split for item in with_splits(many(1000)[::3])}
    assert fewer.items() <= all_of_them.items()
    # These stay for ever: what was trained on must not be tested on later.
    for split, numbers in PINNED.items():
        assert {all_of_them[f"{number:05}"] for number in numbers} == {split}
    assert all_of_them != {item.id: item.split for item in with_splits(many(1000), seed=1)}


PINNED = {"train": [0, 1, 2], "validation": [7, 10, 15], "test": [8, 22, 26]}


def test_fractions_must_be_shares_of_one() -> None:
    assert {item.split for item in with_splits(many(50), fractions=(0.0, 0.0, 1.0))} == {"test"}
    for fractions in ((0.8, 0.1, 0.2), (1.2, -0.1, -0.1)):
        with pytest.raises(DatasetError, match="fractions must be three shares that add up to 1"):
            with_splits(many(3), fractions=fractions)


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> MeshCollection:
    """The two smallest libraries of the real ones."""
    if not DEBIAN_FURNITURE.is_dir():
        pytest.skip("Debian's sweethome3d-furniture is not installed: make furniture")
    folder = tmp_path_factory.mktemp("furniture")
    (folder / "archives").mkdir()
    for name in ("KatorLegaz.sh3f", "Reallusion.sh3f"):
        (folder / "archives" / name).symlink_to(DEBIAN_FURNITURE / name)
    return furniture(folder / "archives", folder / "out")


def test_the_real_libraries_are_read_whole(real: MeshCollection) -> None:
    assert len(real) == 90 + 25
    assert real.skipped == ()
    assert {item.label for item in real if item.id.startswith("Reallusion/")} == {"Characters"}
    creators = Counter(row["creator"] for row in credits_of(real[0].root))
    assert creators == {"Kator Legaz": 90, "Reallusion": 25}
    assert {"License" in row["license"] or "license" in row["license"] for row in credits_of(real[0].root)} == {True}


def test_real_models_load_in_their_colours(real: MeshCollection) -> None:
    for item in real[::30]:
        mesh = item.load()
        assert mesh.check().renderable
        assert mesh.texture is not None or mesh.face_colors is not None
        assert not [problem for problem in mesh.problems if "outside" in problem]


def test_real_people_stand_upright(real: MeshCollection) -> None:
    """Those who stand are taller than wide."""
    standing = next(item for item in real if item.id == "Reallusion/boyStanding")
    vertices = standing.load().vertices
    width, height, depth = (vertices.amax(0) - vertices.amin(0)).tolist()
    assert height > 1.5 * max(width, depth)
