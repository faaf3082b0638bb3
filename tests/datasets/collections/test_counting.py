"""Every file that looks like a mesh is an object, or is listed with the reason why it is none."""

import os
from pathlib import Path

import pytest

from render3d.datasets.collections import MeshCollection, open_collection
from render3d.errors import DatasetError

TRIANGLE = "v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n"
DEEPER = "lies where the layout {} does not look; recursive takes meshes at any depth (--layout recursive)"


def write(path: Path, content: str = TRIANGLE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


def skipped(objects: MeshCollection, root: Path) -> dict[str, str]:
    return {os.path.relpath(skip.path, root): skip.reason for skip in objects.skipped}


@pytest.mark.parametrize(
    ("layout", "made", "deeper"),
    [
        ("flat", ["a"], ["chair/b.obj", "chair/train/c.OBJ", "x/y/z/d.ply"]),
        ("classes", ["chair/b"], ["a.obj", "chair/train/c.OBJ", "x/y/z/d.ply"]),
        ("modelnet", ["chair/train/c"], ["a.obj", "chair/b.obj", "x/y/z/d.ply"]),
        ("recursive", ["a", "chair/b", "chair/train/c", "x/y/z/d"], []),
    ],
)
def test_meshes_where_a_layout_does_not_look_are_listed_and_the_way_to_them_is_named(
    tmp_path: Path, layout: str, made: list[str], deeper: list[str]
) -> None:
    for path in ("a.obj", "chair/b.obj", "chair/train/c.OBJ", "x/y/z/d.ply", "chair/b.mtl", "chair/.obj", ".git/e.obj"):
        write(tmp_path / path)
    objects = open_collection(tmp_path, layout)
    assert [item.id for item in objects] == made
    assert skipped(objects, tmp_path) == dict.fromkeys(deeper, DEEPER.format(layout))


def test_formats_that_are_not_read_are_listed_by_name(tmp_path: Path) -> None:
    expected = {
        "a.3ds": "3D Studio (.3ds)",
        "b.DAE": "COLLADA (.dae)",
        "c.fbx": "FBX (.fbx)",
        "d.blend": "Blender (.blend)",
        **{f"e.{suffix}": f"USD (.{suffix})" for suffix in ("usd", "usda", "usdc", "usdz")},
        "deep/er/f.x3d": "X3D (.x3d)",
        "g.wrl": "VRML (.wrl)",
        "h.stp": "STEP (.stp)",
        "i.step": "STEP (.step)",
    }
    for path in expected:
        write(tmp_path / path, "?")
    with pytest.raises(DatasetError, match=r"It holds .*1 \.fbx.*, which are not read: convert them to \.glb or \.obj"):
        open_collection(tmp_path)
    write(tmp_path / "good.obj")
    objects = open_collection(tmp_path)
    assert [item.id for item in objects] == ["good"]
    reasons = {path: f"is {name}, which is not read; convert it to .glb or .obj" for path, name in expected.items()}
    assert skipped(objects, tmp_path) == reasons
    with pytest.raises(DatasetError, match=r"c\.fbx is FBX \(\.fbx\), which is not read"):
        open_collection(tmp_path / "c.fbx")


def test_a_folder_of_no_known_layout_is_offered_the_one_of_any_depth(tmp_path: Path) -> None:
    for path in ("a/meshes/scan.obj", "b/meshes/scan.obj", "b/meshes/scan.fbx"):
        write(tmp_path / path)
    with pytest.raises(DatasetError, match=r"or take all that it holds, 2 \.obj, 1 \.fbx, by the layout 'recursive'"):
        open_collection(tmp_path)
    objects = open_collection(tmp_path, "recursive")
    assert [(item.id, item.label) for item in objects] == [("a/meshes/scan", ""), ("b/meshes/scan", "")]
    assert list(skipped(objects, tmp_path)) == ["b/meshes/scan.fbx"]


def test_links_in_a_tree_are_taken_once_and_end(tmp_path: Path) -> None:
    write(tmp_path / "outside" / "secret.obj")
    root = tmp_path / "root"
    write(root / "data" / "chairs" / "a.obj")
    (root / "chair").symlink_to("data/chairs")
    (root / "data" / "round").symlink_to("../data")
    (root / "data" / "out").symlink_to(tmp_path / "outside")
    by_class = open_collection(root, "classes")
    assert [item.id for item in by_class] == ["chair/a"]  # and data/chairs/a.obj, which is the same, is not missed
    assert skipped(by_class, root) == {"data/out": f"is a link that leads outside {root}"}
    assert [item.id for item in open_collection(root, "recursive")] == ["data/chairs/a"]


def test_lists_and_single_meshes_take_what_they_name_and_count_nothing_else(tmp_path: Path) -> None:
    for name in ("a.obj", "b.obj", "c.fbx"):
        write(tmp_path / name)
    assert open_collection(write(tmp_path / "list.txt", "a.obj\n")).skipped == ()
    assert open_collection(tmp_path / "a.obj").skipped == ()
    listed = open_collection(write(tmp_path / "list.txt", "a.obj\nc.fbx\n"))
    assert skipped(listed, tmp_path)["c.fbx"].startswith("is FBX")


@pytest.mark.parametrize("layout", ["classes", "recursive"])
def test_each_folder_is_listed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layout: str) -> None:
    for name in ("a/one.obj", "a/two.obj", "b/one.obj", "b/deeper/three.obj"):
        write(tmp_path / name)
    listed: list[str] = []
    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", lambda folder: listed.append(str(folder)) or scandir(folder))
    open_collection(tmp_path, layout)
    assert sorted(listed) == sorted(str(path) for path in (tmp_path, *(p for p in tmp_path.rglob("*") if p.is_dir())))
