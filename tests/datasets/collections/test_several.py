"""Several paths as one collection, and lists of long paths: ids are short, unique, and safe."""

import re
from pathlib import Path, PurePosixPath

import pytest

from render3d.datasets.collections import open_collection, open_collections
from render3d.datasets.collections.ids import endings
from render3d.errors import DatasetError

TRIANGLE = "v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n"


def write(path: Path, content: str = TRIANGLE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


def test_files_are_called_by_their_names_and_read_what_lies_beside_them(tmp_path: Path) -> None:
    paths = [write(tmp_path / path) for path in ("here/lamp.obj", "far/away/chair.ply", "far/sofa.off")]
    objects = open_collections([*paths, paths[0]])
    assert [item.id for item in objects] == ["chair", "lamp", "sofa"]
    assert [item.root for item in objects] == [tmp_path / "far" / "away", tmp_path / "here", tmp_path / "far"]
    assert objects.skipped == ()


def test_files_of_one_name_get_as_much_of_their_paths_as_tells_them_apart(tmp_path: Path) -> None:
    paths = [write(tmp_path / path) for path in ("a/x/model.obj", "b/x/model.obj", "b/y/Model.obj", "b/y/lamp.obj")]
    assert [item.id for item in open_collections(paths)] == ["a/x/model", "b/x/model", "lamp", "y/Model"]
    paths.append(write(tmp_path / "b/y/lamp.ply"))  # which no folder tells from lamp.obj
    hashed = [item.id for item in open_collections(paths)]
    assert hashed[:2] + hashed[4:] == ["a/x/model", "b/x/model", "y/Model"]
    assert all(re.fullmatch("lamp-[0-9a-f]{8}", id_) for id_ in hashed[2:4])


def test_folders_and_lists_go_before_the_ids_of_their_objects(tmp_path: Path) -> None:
    for path in ("chairs/a.obj", "set/table/b.obj", "set/lamp/a.obj", "set/lamp/c.fbx", "picked/d.obj", "e.obj"):
        write(tmp_path / path)
    write(tmp_path / "picked" / "some.txt", "d.obj\nnone.obj\n")
    given = ["chairs", "set", "picked/some.txt", "e.obj"]
    objects = open_collections([tmp_path / path for path in given])
    assert [(item.id, item.label) for item in objects] == [
        ("chairs/a", ""),
        ("e", ""),
        ("set/lamp/a", "lamp"),
        ("set/table/b", "table"),
        ("some/d", ""),
    ]
    assert sorted(skip.path.name for skip in objects.skipped) == ["c.fbx", "none.obj"]
    both = open_collections([tmp_path / "set", tmp_path / "chairs"], "recursive")
    assert [item.id for item in both] == ["chairs/a", "set/lamp/a", "set/table/b"]


def test_files_that_are_no_meshes_are_listed_as_a_star_of_the_shell_names_them_too(tmp_path: Path) -> None:
    paths = [write(tmp_path / name) for name in ("a.obj", "a.mtl", "b.dae")]
    paths.append(write(tmp_path / "empty.obj", ""))
    objects = open_collections(paths)
    assert [item.id for item in objects] == ["a"]
    reasons = {skip.path.name: skip.reason for skip in objects.skipped}
    assert reasons["empty.obj"] == "is empty"
    assert reasons["a.mtl"].startswith("is no mesh: these end in .obj")
    assert reasons["b.dae"].startswith("is COLLADA (.dae)")
    with pytest.raises(DatasetError, match=r"No object of 2 paths can be used: .*a\.mtl is no mesh"):
        open_collections(paths[1:3])


def test_one_path_is_opened_as_ever_and_none_or_a_missing_one_is_an_error(tmp_path: Path) -> None:
    path = write(tmp_path / "a.obj")
    assert open_collections([tmp_path]) == open_collection(tmp_path)
    with pytest.raises(DatasetError, match="No object of 0 paths can be used: none was given"):
        open_collections([])
    with pytest.raises(DatasetError, match=r"gone\.obj: no such folder or file"):
        open_collections([path, tmp_path / "gone.obj"])


def test_long_paths_in_a_list_become_short_ids(tmp_path: Path) -> None:
    write(tmp_path / "models" / "chair" / "a.obj")
    write(tmp_path / "models" / "b.obj")
    write(tmp_path / "models" / "c.obj")
    (tmp_path / "link").symlink_to("models")
    lines = [tmp_path / "models/chair/a.obj", tmp_path / "link/b.obj", "./chair/../c.obj"]
    objects = open_collection(write(tmp_path / "models" / "list.txt", "\n".join(map(str, lines))))
    assert [item.id for item in objects] == ["b", "c", "chair/a"]
    assert all(item.path.is_relative_to(item.root) for item in objects)


def test_a_line_of_a_list_that_can_be_no_path_costs_only_itself(tmp_path: Path) -> None:
    write(tmp_path / "a.obj")
    objects = open_collection(write(tmp_path / "list.txt", "a.obj\n/x\0y/b.obj\nx\0y.obj\n"))
    assert [item.id for item in objects] == ["a"]
    assert len(objects.skipped) == 2


def test_endings_are_as_short_as_can_be_and_equal_paths_share_theirs() -> None:
    paths = ["/a/b/c", "/a/d/c", "/e/C", "/f", "/f", "/g/f", "/f/h"]
    assert endings([PurePosixPath(path) for path in paths]) == ["b/c", "d/c", "e/C", "f", "f", "g/f", "h"]
    assert endings([]) == []


def test_a_layout_that_there_is_not_is_refused_though_no_path_needs_one(tmp_path: Path) -> None:
    paths = [write(tmp_path / name) for name in ("a.obj", "b.obj")]
    with pytest.raises(DatasetError, match="typo"):
        open_collections(paths, "typo")
