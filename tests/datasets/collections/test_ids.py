"""Ids of objects: safe as folders, unique, and stable."""

from pathlib import Path

import pytest

from render3d.datasets.collections import open_collection


def write(path: Path, content: str = "v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


def test_ids_that_would_be_one_get_hashes_of_their_paths_that_depend_on_nothing_else(tmp_path: Path) -> None:
    write(tmp_path / "Chair.obj")
    write(tmp_path / "chair.obj")
    write(tmp_path / "lamp.obj")
    write(tmp_path / "lamp.ply")
    write(tmp_path / "table.obj")
    first = open_collection(tmp_path)
    assert [item.id.split("-")[0] for item in first] == ["Chair", "chair", "lamp", "lamp", "table"]
    assert len({item.id.lower() for item in first}) == 5
    write(tmp_path / "CHAIR.obj")
    again = {item.path: item.id for item in open_collection(tmp_path)}
    assert all(again[item.path] == item.id for item in first)


def test_an_id_ending_like_the_hash_of_another_is_kept_apart(tmp_path: Path) -> None:
    write(tmp_path / "Chair.obj")
    write(tmp_path / "chair.obj")
    suffixed = open_collection(tmp_path)[0].id
    write(tmp_path / f"{suffixed.lower()}.obj")
    ids = [item.id.lower() for item in open_collection(tmp_path)]
    assert len(set(ids)) == 3


def test_no_id_is_a_folder_on_the_way_to_another(tmp_path: Path) -> None:
    write(tmp_path / "chair.obj")
    write(tmp_path / "Chair" / "a.obj")
    write(tmp_path / "list.txt", "chair.obj\nChair/a.obj\n")
    ids = [item.id for item in open_collection(tmp_path / "list.txt")]
    assert ids[0] == "Chair/a"
    assert ids[1].startswith("chair-")


@pytest.mark.parametrize(
    "name", ["a..obj", "-rf.obj", "a b&c.obj", "Stühle.obj", "椅子.obj", "x" * 250 + ".obj", "a\nb.obj"]
)
def test_ids_are_safe_as_folders_whatever_files_are_called(tmp_path: Path, name: str) -> None:
    write(tmp_path / "classes" / name)
    item = open_collection(tmp_path, "classes")[0]
    _, part = item.id.split("/")
    assert set(part) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")
    assert 0 < len(part) <= 100
    assert part[0] not in ".-"
    assert part[-1] != "."
