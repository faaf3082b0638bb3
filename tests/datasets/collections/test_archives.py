"""Archives, honest and hostile: what is unpacked is whole, inside the folder, and within bounds."""

import io
import stat
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from render3d.datasets.collections.archives import extract
from render3d.errors import DatasetError

Pack = Callable[[Path, Mapping[str, bytes]], Path]
CONTENT = {"chair/a.obj": b"v 0 0 0\n", "chair/textures/skin.png": b"\x89PNG", "list.txt": b""}


def pack_zip(folder: Path, content: Mapping[str, bytes]) -> Path:
    path = folder / "archive.bin"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in content.items():
            file.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
    return path


def pack_tar(mode: str) -> Pack:
    def pack(folder: Path, content: Mapping[str, bytes]) -> Path:
        path = folder / "archive.bin"
        with tarfile.open(path, mode) as file:  # type: ignore[call-overload]
            for name, data in content.items():
                add_to_tar(file, name, data)
        return path

    return pack


def add_to_tar(file: tarfile.TarFile, name: str, data: bytes = b"", kind: bytes = tarfile.REGTYPE) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.type, info.linkname = len(data), kind, "/etc/passwd"
    file.addfile(info, io.BytesIO(data))


PACKS = {
    "zip": pack_zip,
    "tar": pack_tar("w:"),
    "tar.gz": pack_tar("w:gz"),
    "tar.bz2": pack_tar("w:bz2"),
    "tar.xz": pack_tar("w:xz"),
}


@pytest.fixture(params=PACKS)
def pack(request: pytest.FixtureRequest) -> Pack:
    return PACKS[request.param]


def files_in(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def refuse(archive: Path, reason: str, **bounds: int) -> None:
    """It is refused, and nothing is left of it."""
    before = set(archive.parent.rglob("*"))
    with pytest.raises(DatasetError, match=reason):
        extract(archive, archive.parent / "out", **bounds)
    assert set(archive.parent.rglob("*")) == before


def test_every_kind_of_archive_is_unpacked_whole(tmp_path: Path, pack: Pack) -> None:
    extract(pack(tmp_path, CONTENT), tmp_path / "some" / "where")
    assert files_in(tmp_path / "some" / "where") == CONTENT
    assert [path.name for path in (tmp_path / "some").iterdir()] == ["where"]


def test_folders_may_be_members_before_or_after_what_is_in_them(tmp_path: Path) -> None:
    content = {"a/b.txt": b"b", "a/": b"", "./a/c.txt": b"c", "empty/": b"", "./": b""}
    extract(pack_zip(tmp_path, content), tmp_path / "out")
    assert files_in(tmp_path / "out") == {"a/b.txt": b"b", "a/c.txt": b"c"}
    assert (tmp_path / "out" / "empty").is_dir()


@pytest.mark.parametrize(
    "name",
    ["/evil.txt", "../evil.txt", "a/../../evil.txt", "a/..", "..\\evil.txt", "C:\\evil.txt", "C:evil.txt", "\\evil"],
)
def test_names_that_lead_out_of_the_folder_are_refused(tmp_path: Path, pack: Pack, name: str) -> None:
    refuse(pack(tmp_path, {"fine.txt": b"", name: b"evil"}), "member .* leads out of the folder")


@pytest.mark.parametrize(
    "kind",
    [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, tarfile.GNUTYPE_SPARSE],
)
def test_links_and_devices_in_a_tar_are_refused(tmp_path: Path, kind: bytes) -> None:
    with tarfile.open(tmp_path / "archive.tar", "w", format=tarfile.GNU_FORMAT) as file:
        add_to_tar(file, "fine.txt", b"fine")
        add_to_tar(file, "evil", kind=kind)
    refuse(tmp_path / "archive.tar", "member 'evil' is a link or a device")


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR])
def test_links_and_devices_in_a_zip_are_refused(tmp_path: Path, kind: int) -> None:
    with zipfile.ZipFile(tmp_path / "archive.zip", "w") as file:
        info = zipfile.ZipInfo("evil")
        info.external_attr = (kind | 0o777) << 16
        file.writestr(info, "/etc/passwd")
    refuse(tmp_path / "archive.zip", "member 'evil' is a link or a device")


@pytest.mark.parametrize(
    "names",
    [
        ("a.obj", "A.obj"),
        ("a/x.obj", "A/y.obj"),
        ("a", "a/b"),
        ("a/b", "A"),
        ("Stra\u00dfe", "STRASSE"),
        ("\u00e9", "e\u0301"),
    ],
)
def test_members_that_some_file_systems_take_for_one_are_refused(
    tmp_path: Path, pack: Pack, names: tuple[str, str]
) -> None:
    refuse(pack(tmp_path, dict.fromkeys(names, b"")), "is in the place of")


def test_a_member_that_comes_twice_is_refused(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "archive.tar", "w") as file:
        add_to_tar(file, "a.obj", b"one")
        add_to_tar(file, "a.obj", b"other")
    refuse(tmp_path / "archive.tar", "is in the place of 'a.obj', which came before it")


def test_a_bomb_is_stopped_while_it_unpacks(tmp_path: Path, pack: Pack) -> None:
    content = {f"{number}.bin": bytes(600_000) for number in range(4)}
    refuse(pack(tmp_path, content), "member '3.bin' brings it to over 2000000 bytes", most_bytes=2_000_000)
    extract(pack(tmp_path, content), tmp_path / "out", most_bytes=2_400_000)


def test_a_bomb_that_lies_about_its_size_is_stopped_too(tmp_path: Path) -> None:
    path = pack_zip(tmp_path, {"a.bin": bytes(4_000_000)})
    # The size, 4,000,000, stands in the header of the member and in the directory.
    lying = path.read_bytes().replace((4_000_000).to_bytes(4, "little"), (10).to_bytes(4, "little"))
    path.write_bytes(lying)
    refuse(path, "no whole zip or tar|over 1000000 bytes", most_bytes=1_000_000)


def test_too_many_members_are_refused_and_the_folders_on_the_way_count(tmp_path: Path, pack: Pack) -> None:
    refuse(pack(tmp_path, {f"{number}/a": b"" for number in range(3)}), "one more than 5", most_members=5)
    extract(pack(tmp_path, {f"{number}/a": b"" for number in range(3)}), tmp_path / "out", most_members=6)


def test_a_header_that_would_fill_the_memory_is_not_read(tmp_path: Path) -> None:
    info = tarfile.TarInfo("pax")
    info.type, info.size = tarfile.XHDTYPE, 2**32
    (tmp_path / "archive.tar").write_bytes(info.tobuf(tarfile.GNU_FORMAT) + bytes(10_000))
    refuse(tmp_path / "archive.tar", "a header of 4294967296 bytes")


@pytest.mark.parametrize("kept", [0, 3, 0.3, 0.6])
def test_truncated_archives_are_refused(tmp_path: Path, pack: Pack, kept: float) -> None:
    path = pack(tmp_path, {"a.bin": bytes(range(256)) * 40, "b.bin": bytes(range(255, -1, -1)) * 40})
    data = path.read_bytes()
    path.write_bytes(data[: int(kept if kept >= 1 else kept * len(data))])
    refuse(path, "archive.bin is no whole zip or tar")


def test_encrypted_and_missing_archives_and_folders_that_are_there_are_errors(tmp_path: Path) -> None:
    path = pack_zip(tmp_path, {"a.bin": b"secret"})
    data = bytearray(path.read_bytes())
    data[6] |= 1  # the flags of the member
    data[data.index(b"PK\1\2") + 8] |= 1  # and of its entry in the directory
    path.write_bytes(data)
    refuse(path, "encrypted")
    refuse(tmp_path / "gone.zip", "No such file")
    (tmp_path / "out").mkdir()
    with pytest.raises(DatasetError, match="out is there already. Remove it"):
        extract(pack_zip(tmp_path, CONTENT), tmp_path / "out")


def test_a_name_too_long_for_the_file_system_leaves_nothing(tmp_path: Path, pack: Pack) -> None:
    refuse(pack(tmp_path, {"fine": b"", "x" * 300: b""}), "was not unpacked into .*out: .*too long")
