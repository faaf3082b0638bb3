"""Objects on disk: whole or not at all, whatever happens meanwhile."""

import errno
import json
import multiprocessing
import os
import resource
from collections.abc import Callable, Iterator, Mapping
from multiprocessing.synchronize import Event
from pathlib import Path, PurePosixPath

import pytest

from render3d.datasets.collections.checksums import sha256_of
from render3d.datasets.view_sets.write.store import PARTIAL, clean, discard, locked, put, read_whole
from render3d.errors import GenerationError

PLACE = PurePosixPath("objects/a/b")
FACTS = {"source": {"sha256": "of the source"}}
OLD = {"images/0.png": b"old", "transforms.json": b"{}"}
NEW = {"images/0.png": b"new", "images/1.png": b"more", "transforms.json": b"{1}"}


def has(sha256: str) -> Callable[[Mapping[str, str]], bool]:
    return lambda source: source["sha256"] == sha256


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_an_object_has_its_files_and_their_checksums(tmp_path: Path) -> None:
    put(tmp_path, PLACE, NEW.items(), FACTS)
    found = contents(tmp_path)
    facts = json.loads(found.pop("objects/a/b/object.json"))
    assert found == {f"objects/a/b/{name}": content for name, content in NEW.items()}
    assert facts == FACTS | {"files": {name: sha256_of(tmp_path / PLACE / name) for name in NEW}}
    assert read_whole(tmp_path, PLACE, has("of the source"))
    assert not list((tmp_path / PARTIAL).iterdir())


def test_names_that_are_no_utf_8_come_back_as_they_were(tmp_path: Path) -> None:
    names = [os.fsdecode(name) for name in (b"\xc4\xe3.mtl", b"\xba\xc3.mtl", "椅子.mtl".encode())]
    source = {"sha256": "of the source", "files": dict.fromkeys(names, "")}
    put(tmp_path, PLACE, OLD.items(), {"source": source})
    (tmp_path / PLACE / "object.json").read_text(encoding="utf-8")
    facts = read_whole(tmp_path, PLACE, has("of the source"))
    assert facts is not None
    assert facts["source"] == source


def test_an_object_takes_the_place_of_another(tmp_path: Path) -> None:
    put(tmp_path, PLACE, NEW.items(), FACTS)
    put(tmp_path, PLACE, OLD.items(), FACTS)
    assert set(contents(tmp_path / PLACE)) == {*OLD, "object.json"}
    assert not list((tmp_path / PARTIAL).iterdir())


def test_two_who_store_one_object_do_not_disturb_each_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rename, others = Path.rename, iter([True])

    def overtaken(path: Path, target: Path) -> Path:
        if target == tmp_path / PLACE and next(others, False):  # just before it is renamed, the other one's is there
            put(tmp_path, PLACE, NEW.items(), FACTS)
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", overtaken)
    put(tmp_path, PLACE, NEW.items(), FACTS)
    assert read_whole(tmp_path, PLACE, has("of the source"))
    assert not list((tmp_path / PARTIAL).iterdir())


def stops_after(files: dict[str, bytes], count: int) -> Iterator[tuple[str, bytes]]:
    yield from list(files.items())[:count]
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("count", range(3))
def test_a_full_disk_leaves_what_was_there(tmp_path: Path, count: int) -> None:
    put(tmp_path, PLACE, OLD.items(), FACTS)
    before = contents(tmp_path)
    with pytest.raises(OSError, match="No space left"):
        put(tmp_path, PLACE, stops_after(NEW, count), FACTS)
    assert contents(tmp_path) == before


def test_a_limit_of_the_system_on_files_is_met_like_a_full_disk(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            put(tmp_path, PLACE, [("small", b"x" * 900), ("large", b"x" * 1100)], FACTS)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not contents(tmp_path)


@pytest.mark.parametrize(
    "damage",
    [
        lambda place: (place / "images" / "0.png").unlink(),
        lambda place: (place / "images" / "0.png").write_bytes(b"neW"),
        lambda place: (place / "images" / "1.png").write_bytes(b""),
        lambda place: (place / "object.json").unlink(),
        lambda place: (place / "object.json").write_text("{"),
        lambda place: (place / "object.json").write_text("[]"),
        lambda place: (place / "object.json").write_text(json.dumps({"source": {}, "files": {}})),
        lambda place: (place / "object.json").write_text(json.dumps({"source": {"sha256": "of the source"}})),
    ],
)
def test_damage_is_found(tmp_path: Path, damage: Callable[[Path], object]) -> None:
    put(tmp_path, PLACE, NEW.items(), FACTS)
    damage(tmp_path / PLACE)
    assert not read_whole(tmp_path, PLACE, has("of the source"))


def test_another_source_is_found(tmp_path: Path) -> None:
    put(tmp_path, PLACE, NEW.items(), FACTS)
    assert not read_whole(tmp_path, PLACE, has("of another"))
    assert not read_whole(tmp_path, PurePosixPath("objects/none"), has("of the source"))


def test_discarding_and_cleaning_leave_nothing(tmp_path: Path) -> None:
    put(tmp_path, PLACE, NEW.items(), FACTS)
    discard(tmp_path, PLACE)
    discard(tmp_path, PLACE)
    assert not (tmp_path / PLACE).exists()
    (tmp_path / PARTIAL / "left").mkdir(parents=True)
    clean(tmp_path)
    clean(tmp_path)
    assert not (tmp_path / PARTIAL).exists()


def hold(folder: Path, held: Event, end: Event) -> None:
    with locked(folder):
        held.set()
        end.wait(60)


def test_a_folder_is_one_process_alone(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    held, end = context.Event(), context.Event()
    other = context.Process(target=hold, args=(tmp_path / "out", held, end))
    other.start()
    assert held.wait(60)
    with (
        pytest.raises(GenerationError, match="Another run is writing to .*out. Wait for its end"),
        locked(tmp_path / "out"),
    ):
        pass
    other.kill()  # however it ends, the folder is free then
    other.join()
    with locked(tmp_path / "out"):
        pass
