"""Collections of meshes as they lie on disk: what is found, what it is called, and what is left out."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from render3d.datasets.collections import CollectionLayout, CollectionObject, MeshCollection, open_collection
from render3d.datasets.collections.layouts import FoundObject
from render3d.datasets.collections.tree import Tree
from render3d.errors import DatasetError

TRIANGLE_OBJ = "v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n"
TRIANGLE_OFF = "OFF\n3 1 0\n0 0 0\n1 0 0\n0 1 0\n3 0 1 2\n"
AIRPLANE, CHAIR = "02691156", "03001627"


def write(path: Path, content: str = TRIANGLE_OBJ) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


def facts(objects: MeshCollection) -> list[tuple[str, str, str]]:
    return [(item.id, item.label, item.split) for item in objects]


def skipped(objects: MeshCollection, root: Path) -> dict[str, str]:
    return {os.path.relpath(skip.path, root): skip.reason for skip in objects.skipped}


def write_taxonomy(root: Path) -> None:
    synsets = [
        {"synsetId": AIRPLANE, "name": "airplane,aeroplane,plane", "children": ["02690373"], "numInstances": 4045},
        {"synsetId": "02690373", "name": "airliner", "children": [], "numInstances": 1490},
        {"synsetId": CHAIR, "name": "chair", "children": [], "numInstances": 6778},
    ]
    write(root / "taxonomy.json", json.dumps(synsets))


def write_splits(root: Path) -> None:
    # A spreadsheet took the zeros away from the second row.
    rows = [
        "id,synsetId,subSynsetId,modelId,split",
        f"000001,{AIRPLANE},02690373,1a04,train",
        "000002,3001627,20000008,1a6f,val",
    ]
    write(root / "all.csv", "\n".join(rows))


@pytest.mark.parametrize("mesh", ["model.obj", "models/model_normalized.obj"])
def test_both_versions_of_shapenet_are_told_apart_and_labelled_by_the_taxonomy(tmp_path: Path, mesh: str) -> None:
    for model in (f"{AIRPLANE}/1a04", f"{CHAIR}/1a6f", f"{CHAIR}/1b80"):
        write(tmp_path / model / mesh)
        write(tmp_path / model / "images" / "texture0.jpg")
    write_taxonomy(tmp_path)
    write_splits(tmp_path)
    objects = open_collection(tmp_path)
    assert facts(objects) == [
        (f"{AIRPLANE}/1a04", "airplane", "train"),
        (f"{CHAIR}/1a6f", "chair", "validation"),
        (f"{CHAIR}/1b80", "chair", ""),
    ]
    assert objects.classes == ("airplane", "chair")
    assert objects.skipped == ()
    assert [item.path for item in objects] == [tmp_path / item.id / mesh for item in objects]
    assert {item.root for item in objects} == {tmp_path}


def test_without_a_taxonomy_synsets_are_their_own_labels(tmp_path: Path) -> None:
    write(tmp_path / AIRPLANE / "1a04" / "model.obj")
    assert open_collection(tmp_path).classes == (AIRPLANE,)


def test_a_broken_taxonomy_and_broken_splits_cost_names_and_splits_alone(tmp_path: Path) -> None:
    write(tmp_path / AIRPLANE / "1a04" / "model.obj")
    write(tmp_path / "taxonomy.json", '[{"synsetId": ')
    write(tmp_path / "all.csv", "model,part\na,b\n")
    objects = open_collection(tmp_path)
    assert facts(objects) == [(f"{AIRPLANE}/1a04", AIRPLANE, "")]
    assert set(skipped(objects, tmp_path)) == {"taxonomy.json", "all.csv"}


def test_two_synsets_of_one_name_stay_two_classes(tmp_path: Path) -> None:
    for synset in (AIRPLANE, CHAIR):
        write(tmp_path / synset / "1a04" / "model.obj")
    synsets = [{"synsetId": synset, "name": "thing,object"} for synset in (AIRPLANE, CHAIR)]
    write(tmp_path / "taxonomy.json", json.dumps(synsets))
    assert open_collection(tmp_path).classes == (f"thing {AIRPLANE}", f"thing {CHAIR}")


def test_models_that_are_empty_folders_are_told_even_if_they_come_first(tmp_path: Path) -> None:
    write(tmp_path / AIRPLANE / "2b" / "model.obj")
    (tmp_path / AIRPLANE / "1a").mkdir()
    write(tmp_path / AIRPLANE / "3c" / "model.obj", "")
    objects = open_collection(tmp_path)
    assert [item.id for item in objects] == [f"{AIRPLANE}/2b"]
    assert skipped(objects, tmp_path) == {
        f"{AIRPLANE}/1a/model.obj": "is missing",
        f"{AIRPLANE}/3c/model.obj": "is empty",
    }


def test_modelnet_has_its_splits_in_folders(tmp_path: Path) -> None:
    for path in ("night_stand/train/night_stand_0001.off", "night_stand/test/night_stand_0201.off"):
        write(tmp_path / path, TRIANGLE_OFF)
    write(tmp_path / "README.txt", "Princeton ModelNet10")
    write(tmp_path / ".DS_Store")
    write(tmp_path / "__MACOSX" / "night_stand" / "train" / "._night_stand_0001.off")
    objects = open_collection(tmp_path)
    assert facts(objects) == [
        ("night_stand/test/night_stand_0201", "night_stand", "test"),
        ("night_stand/train/night_stand_0001", "night_stand", "train"),
    ]
    assert objects.skipped == ()


def test_a_single_class_of_modelnet_is_not_taken_for_classes_named_train_and_test(tmp_path: Path) -> None:
    for path in ("train/chair_0001.off", "test/chair_0201.off"):
        write(tmp_path / path, TRIANGLE_OFF)
    with pytest.raises(DatasetError, match=r"no way that is known\. Pass the folder just above"):
        open_collection(tmp_path)


def test_a_single_synset_is_not_taken_for_classes_named_like_its_models(tmp_path: Path) -> None:
    for model in ("1a04", "1b80"):
        write(tmp_path / model / "model.obj")
    with pytest.raises(DatasetError, match="no way that is known"):
        open_collection(tmp_path)


def test_folders_of_classes_may_hold_any_format_that_is_read(tmp_path: Path) -> None:
    for path in ("lamp/a.OBJ", "lamp/b.glb", "Big chair/c.ply", "Big chair/notes.txt"):
        write(tmp_path / path)
    objects = open_collection(tmp_path)
    assert facts(objects) == [("Big_chair/c", "Big chair", ""), ("lamp/a", "lamp", ""), ("lamp/b", "lamp", "")]
    assert objects.classes == ("Big chair", "lamp")


def test_a_flat_folder_has_no_classes(tmp_path: Path) -> None:
    write(tmp_path / "b.off", TRIANGLE_OFF)
    write(tmp_path / "a.obj")
    objects = open_collection(tmp_path)
    assert facts(objects) == [("a", "", ""), ("b", "", "")]
    assert objects.classes == ()
    assert facts(open_collection(tmp_path / "a.obj")) == [("a", "", "")]


def test_a_list_of_paths_takes_what_it_names_and_nothing_outside_its_folder(tmp_path: Path) -> None:
    outside = write(tmp_path / "outside.obj")
    root = tmp_path / "models"
    for path in ("a.obj", "deep/er/b.obj", "unlisted.obj"):
        write(root / path)
    lines = ["# chosen by hand", "deep/er/b.obj", "", "a.obj", "a.obj", "../outside.obj", str(outside), "gone.obj", "."]
    write(root / "list.txt", "\n".join([*lines, "notes.md"]))
    write(root / "notes.md", "no mesh")
    objects = open_collection(root / "list.txt")
    assert [item.id for item in objects] == ["a", "deep/er/b"]
    assert {item.root for item in objects} == {root}
    reasons = skipped(objects, root)
    assert reasons["../outside.obj"] == f"lies outside {root}"
    assert reasons["gone.obj"] == "is missing"
    assert reasons["a.obj"] == "is listed twice"
    assert reasons["."] == "is no regular file"
    assert "is no mesh" in reasons["notes.md"]
    assert len(objects.skipped) == 6


def test_a_list_with_columns_gives_labels_and_splits(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        write(tmp_path / f"{name}.obj")
    write(tmp_path / "list.csv", "split,path,label\nval,b.obj,chair\n,a.obj,lamp\ndev,c.obj,lamp\n")
    objects = open_collection(tmp_path / "list.csv")
    assert facts(objects) == [("a", "lamp", ""), ("b", "chair", "validation")]
    assert "'dev'" in skipped(objects, tmp_path)["c.obj"]
    assert {(item.creator, item.licence) for item in objects} == {("", "")}


def test_a_list_may_tell_creators_and_licences(tmp_path: Path) -> None:
    write(tmp_path / "a.obj")
    (item,) = open_collection(write(tmp_path / "list.csv", "path,licence,creator\na.obj,CC BY 4.0,Ada\n"))
    assert (item.creator, item.licence) == ("Ada", "CC BY 4.0")


def test_a_list_without_paths_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="each row of the list needs a path"):
        open_collection(write(tmp_path / "list.csv", "file,label\na.obj,chair\n"))


def test_links_that_lead_outside_are_skipped_and_those_inside_are_followed(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    write(elsewhere / "secret.obj")
    root = tmp_path / "root"
    write(root / "chair" / "a.obj")
    (root / "chair" / "out.obj").symlink_to(elsewhere / "secret.obj")
    (root / "chair" / "in.obj").symlink_to("a.obj")
    (root / "chair" / "dangling.obj").symlink_to("nothing.obj")
    (root / "chair" / "circle.obj").symlink_to("circle.obj")
    (root / "linked").symlink_to(elsewhere)
    (root / "round").symlink_to("round")
    objects = open_collection(root, "classes")
    assert [item.id for item in objects] == ["chair/a", "chair/in"]
    reasons = skipped(objects, root)
    assert reasons["chair/out.obj"] == f"lies outside {root}"
    assert reasons["chair/dangling.obj"] == "is missing"
    assert "cannot be reached" in reasons["chair/circle.obj"]
    assert reasons["linked"] == f"is a link that leads outside {root}"
    assert len(reasons) == 4


def test_a_link_within_the_way_to_a_mesh_of_shapenet_is_not_followed_out(tmp_path: Path) -> None:
    elsewhere = write(tmp_path / "elsewhere" / "model_normalized.obj").parent
    root = tmp_path / "root"
    write(root / CHAIR / "1a" / "models" / "model_normalized.obj")
    (root / CHAIR / "2b").mkdir()
    (root / CHAIR / "2b" / "models").symlink_to(elsewhere)
    assert [item.id for item in open_collection(root)] == [f"{CHAIR}/1a"]


def test_a_pipe_named_like_a_mesh_is_skipped_and_nothing_waits_for_it(tmp_path: Path) -> None:
    write(tmp_path / "a.obj")
    os.mkfifo(tmp_path / "pipe.obj")
    assert skipped(open_collection(tmp_path), tmp_path) == {"pipe.obj": "is no regular file"}


def test_names_that_are_no_text_are_read_and_their_labels_can_be_stored(tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path) + b"/ch\xe4ir"
    os.mkdir(folder)  # noqa: PTH102  # pathlib takes no bytes
    write(Path(os.fsdecode(folder + b"/a.obj")))
    item = open_collection(tmp_path)[0]
    assert item.id == "ch_ir/a"
    assert item.label.encode() == b"ch?ir"
    assert item.load().faces.shape == (1, 3)


def test_a_folder_of_two_layouts_is_an_error_that_a_choice_resolves(tmp_path: Path) -> None:
    write(tmp_path / "a.obj")
    write(tmp_path / "chair" / "b.obj")
    with pytest.raises(
        DatasetError, match="read as classes and as flat. Say which by the layout .--layout., such as 'cl"
    ):
        open_collection(tmp_path)
    assert [item.id for item in open_collection(tmp_path, "flat")] == ["a"]
    assert [item.id for item in open_collection(tmp_path, "classes")] == ["chair/b"]


def test_what_cannot_be_read_as_any_layout_is_told_with_all_of_them(tmp_path: Path) -> None:
    write(tmp_path / "notes.md")
    with pytest.raises(DatasetError, match=r"(?s)no way that is known.*shapenet-v1: <synset>.*modelnet: .*list: "):
        open_collection(tmp_path)
    with pytest.raises(DatasetError, match="no way that is known"):
        open_collection(tmp_path / "notes.md")


def test_other_bad_requests_are_errors_that_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no such folder or file"):
        open_collection(tmp_path / "nowhere")
    with pytest.raises(
        DatasetError, match="no layout of collections 'shapenet'. Did you mean 'shapenet-v[12]'.*Known: "
    ):
        open_collection(tmp_path, "shapenet")
    write(tmp_path / "a.obj", "")
    with pytest.raises(DatasetError, match=r"no object can be used, read as flat .* 1 were skipped: .*a.obj is empty"):
        open_collection(tmp_path)


def test_a_layout_of_ones_own_is_taken(tmp_path: Path) -> None:
    class Toys(CollectionLayout):
        pattern = "<class>/<toy>/mesh.obj"

        def fits(self, tree: Tree) -> bool:
            return False

        def find(self, tree: Tree) -> Iterator[FoundObject]:
            for label in tree.folders(tree.path):
                for toy in tree.folders(label):
                    yield FoundObject(f"{label.name}/{toy.name}", toy / "mesh.obj", label.name)

    write(tmp_path / "toys" / "car" / "mesh.obj")
    (tmp_path / "toys" / "nothing").mkdir()
    found = open_collection(tmp_path, Toys())
    assert facts(found) == [("toys/car", "toys", "")]
    assert skipped(found, tmp_path) == {"toys/nothing/mesh.obj": "is missing"}


def test_a_selection_keeps_the_numbers_of_labels(tmp_path: Path) -> None:
    for path in ("chair/train/a.off", "lamp/test/b.off", "table/train/c.off"):
        write(tmp_path / path, TRIANGLE_OFF)
    objects = open_collection(tmp_path)
    train = objects.select(split="train")
    assert [item.label for item in train] == ["chair", "table"]
    assert train.classes == ("chair", "lamp", "table")
    some = objects.select(classes=("table", "lamp"))
    assert [item.label for item in some] == ["lamp", "table"]
    assert some.classes == ("table", "lamp")
    assert isinstance(objects[1:], MeshCollection)
    assert len(objects[1:]) == 2
    assert isinstance(objects[-1], CollectionObject)
    with pytest.raises(DatasetError, match="classes must be of chair, lamp, table; got sofa"):
        objects.select(classes=("sofa",))
    with pytest.raises(DatasetError, match="there are test, train. Divide them: with_splits"):
        objects.select(split="validation")
    with pytest.raises(DatasetError, match="split must be one of train, validation, test; got 'dev'"):
        objects.select(split="dev")


def test_objects_refuse_ids_that_differ_in_case_only_and_labels_that_are_no_class(tmp_path: Path) -> None:
    one, other = (CollectionObject(id_, tmp_path / "a.obj", tmp_path, "chair") for id_ in ("a", "A"))
    with pytest.raises(DatasetError, match="different ids"):
        MeshCollection.of([one, other])
    with pytest.raises(DatasetError, match="classes must name every label; chair are missing"):
        MeshCollection((one,), ())
