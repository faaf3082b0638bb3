"""Shards are what webdataset reads, the same whenever they are packed, and mended where they are damaged."""

import gc
import hashlib
import json
import shutil
import tarfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import webdataset
from pictures import LONG, Many, make_objects, run_views, views_settings
from PIL import Image

from render3d.datasets.view_sets.formats.shards import Shards, key_of
from render3d.errors import DatasetError, ViewSetError


@pytest.fixture
def copied(many: Many, tmp_path: Path) -> Many:
    return Path(shutil.copytree(many[0], tmp_path / "run")), many[1]


def contents(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in sorted((folder / "shards").iterdir())}


def samples(folder: Path, decoder: str | None = None) -> dict[str, dict[str, Any]]:
    """As webdataset reads them; it leaves closing its files to the collector of garbage."""
    urls = sorted(str(path) for path in (folder / "shards").glob("*.tar"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        read = webdataset.WebDataset(urls, shardshuffle=False, empty_check=False)
        found = {sample["__key__"]: sample for sample in (read.decode(decoder) if decoder else read)}
        gc.collect()
    return found


def test_webdataset_reads_every_file_of_every_object(many: Many) -> None:
    folder, objects = many
    read = samples(folder)
    assert read.keys() == {key_of(item.id) for item in objects}
    for item in objects:
        place = folder / "objects" / item.id
        stored = {
            path.relative_to(place).as_posix().replace("/", "."): path.read_bytes()
            for path in place.rglob("*")
            if path.is_file()
        }
        assert {name: read[key_of(item.id)][name] for name in stored} == stored


def test_images_that_webdataset_decodes_are_those_on_disk(many: Many) -> None:
    folder, objects = many
    read = samples(folder, "pilrgba")
    for item in objects:
        sample = read[key_of(item.id)]
        with Image.open(folder / "objects" / item.id / "images/0002.png") as image:
            np.testing.assert_array_equal(np.asarray(sample["images.0002.png"]), np.asarray(image))
        assert sample["object.json"]["id"] == item.id


@pytest.mark.parametrize(
    "ids", [["a/b.c", "a/b_c", "a.b/c", "a/b%2Ec".replace("%", "_")], ["__x__/a", "_x_/a", "x/__a__"]]
)
def test_ids_that_look_alike_have_keys_of_their_own_and_all_are_read(ids: list[str], tmp_path: Path) -> None:
    objects = make_objects(tmp_path / "objects", ids)
    folder = run_views(tmp_path / "run", objects, views_settings("shards"))
    read = samples(folder)
    assert len(read) == len(ids)
    assert {json.loads(sample["object.json"])["id"] for sample in read.values()} == set(ids)


def test_members_have_no_owner_and_no_time_and_a_name_that_is_too_long_for_ustar_is_kept(many: Many) -> None:
    facts, names = set(), set()
    for path in (many[0] / "shards").glob("*.tar"):
        with tarfile.open(path, "r:") as archive:
            for member in archive:
                facts.add((member.mtime, member.uid, member.gid, member.uname, member.gname, member.mode))
                names.add(member.name)
    assert facts == {(0, 0, 0, "", "", 0o644)}
    assert f"{LONG}.images.0000.png" in names


def test_shards_are_a_function_of_the_objects(many: Many, tmp_path: Path) -> None:
    folder, objects = many
    again = run_views(tmp_path / "run", objects[::-1], views_settings("shards"))
    Shards(size=3).finish(again, objects[::-1])
    assert {name: content for name, (content, _) in contents(again).items()} == {
        name: content for name, (content, _) in contents(folder).items()
    }


def test_the_index_tells_the_checksums_and_what_is_where(many: Many) -> None:
    folder, objects = many
    index = json.loads((folder / "shards/index.json").read_bytes())
    assert index["count"] == 13
    assert [len(shard["objects"]) for shard in index["shards"]] == [3, 3, 3, 3, 1]
    found = {}
    for shard in index["shards"]:
        assert shard["sha256"] == hashlib.sha256((folder / "shards" / shard["name"]).read_bytes()).hexdigest()
        found |= {item["id"]: (item["label"], item["split"], item["key"]) for item in shard["objects"]}
    assert found == {item.id: (item.label, item.split, key_of(item.id)) for item in objects}


def test_packing_again_changes_nothing(copied: Many) -> None:
    folder, objects = copied
    before = contents(folder)
    Shards(size=3).finish(folder, objects)
    after = contents(folder)
    tars = [name for name in before if name.endswith(".tar")]
    assert {name: after[name] for name in tars} == {name: before[name] for name in tars}  # not even written
    assert after["index.json"][0] == before["index.json"][0]


@pytest.mark.parametrize("harm", ["flipped", "truncated", "missing", "index"])
def test_a_shard_that_is_damaged_is_packed_again(copied: Many, harm: str) -> None:
    folder, objects = copied
    before = contents(folder)
    path = folder / "shards" / ("index.json" if harm == "index" else "000001.tar")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    match harm:
        case "missing":
            path.unlink()
        case "truncated" | "index":
            path.write_bytes(content[: len(content) // 2])
        case _:
            path.write_bytes(content)
    (folder / "shards" / ".000001.tar.x.part").touch()
    Shards(size=3).finish(folder, objects)
    assert {name: content for name, (content, _) in contents(folder).items()} == {
        name: content for name, (content, _) in before.items()
    }


def test_shards_that_are_no_longer_needed_go(copied: Many) -> None:
    folder, objects = copied
    Shards(size=3).finish(folder, objects[:5])
    assert sorted(contents(folder)) == ["000000.tar", "000001.tar", "index.json"]
    assert len(samples(folder)) == 5


def test_a_stored_file_that_is_damaged_is_not_packed(copied: Many) -> None:
    folder, objects = copied
    path = folder / "objects" / objects[0].id / "depth/0001.png"
    path.write_bytes(path.read_bytes()[:-1])
    shutil.rmtree(folder / "shards")
    with pytest.raises(ViewSetError, match=f"{path}: damaged: .* Make it again by --resume"):
        Shards(size=3).finish(folder, objects)
    path.unlink()
    with pytest.raises(ViewSetError, match=f"{path}: no such file"):
        Shards(size=3).finish(folder, objects)


def test_a_run_that_is_resumed_mends_objects_and_their_shard(copied: Many) -> None:
    """The staged object is made again, to the byte; the shard is as if nothing had been."""
    folder, objects = copied
    Shards().finish(folder, objects)  # as the command packs
    before = contents(folder)
    (folder / "objects" / objects[3].id / "images/0000.png").write_bytes(b"")
    (folder / "shards/000000.tar").write_bytes(b"no tar")
    run_views(folder, objects, views_settings("shards"), resume=True)
    assert {name: content for name, (content, _) in contents(folder).items()} == {
        name: content for name, (content, _) in before.items()
    }


def test_shards_of_no_objects_are_refused() -> None:
    with pytest.raises(DatasetError, match="size must be at least 1"):
        Shards(size=0)
