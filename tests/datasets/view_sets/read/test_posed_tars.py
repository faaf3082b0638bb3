"""Archives that are damaged or hostile are refused, with the name of shard and member, and nothing is written."""

import io
import json
import shutil
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from pictures import ALPHA, Many, ids_of, stream

from render3d.datasets import PosedSettings
from render3d.errors import DatasetError


@pytest.fixture
def shard(many: Many, tmp_path: Path) -> Path:
    """The second shard of a copy."""
    return Path(shutil.copytree(many[0] / "shards", tmp_path / "shards")) / "000001.tar"


def read_all(shard: Path, chosen: PosedSettings = ALPHA) -> list[str]:
    return ids_of(stream(shard.parent, settings=chosen))


def members(shard: Path) -> list[tuple[tarfile.TarInfo, bytes]]:
    with tarfile.open(shard, "r:") as archive:
        return [(member, archive.extractfile(member).read()) for member in archive]  # type: ignore[union-attr]


def pack(shard: Path, content: Sequence[tuple[tarfile.TarInfo, bytes]]) -> None:
    with tarfile.open(shard, "w", format=tarfile.PAX_FORMAT) as archive:
        for member, data in content:
            archive.addfile(member, io.BytesIO(data))


def changed(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, link
    return member


KEY = "<key>"  # stands for that of the first object


@pytest.mark.parametrize(
    ("member", "message"),
    [
        (changed("../../outside.png"), "'../../outside.png' is of no object that the index knows of"),
        (changed("/etc/passwd.png"), "'/etc/passwd.png' is of no object that the index knows of"),
        (changed("stranger.png"), "'stranger.png' is of no object that the index knows of"),
        (changed(f"{KEY}.x.png", tarfile.SYMTYPE, "/etc/passwd"), "x.png' is no plain file"),
        (changed(f"{KEY}.x.png", tarfile.LNKTYPE, "/etc/passwd"), "x.png' is no plain file"),
        (changed(f"{KEY}.x", tarfile.DIRTYPE), "x' is no plain file"),
        (changed(f"{KEY}.x", tarfile.FIFOTYPE), "x' is no plain file"),
        (changed(f"{KEY}.x", tarfile.CHRTYPE), "x' is no plain file"),
        (changed(f"{KEY}.object.json"), "object.json' is there twice"),
    ],
)
def test_a_member_that_does_not_belong_there_is_refused(shard: Path, member: tarfile.TarInfo, message: str) -> None:
    content = members(shard)
    key = content[0][0].name.partition(".")[0]
    added = changed(member.name.replace(KEY, key), member.type, member.linkname)
    pack(shard, [content[0], (added, b""), *content[1:]] if "twice" not in message else [(added, b""), *content])
    with pytest.raises(DatasetError, match=f"{shard}: member .*{message}"):
        read_all(shard)
    assert not (shard.parents[2] / "outside.png").exists()


def test_an_object_that_is_there_twice_is_refused(shard: Path) -> None:
    content = members(shard)
    key = content[0][0].name.partition(".")[0]
    pack(shard, [*content, *(pair for pair in content if pair[0].name.startswith(f"{key}."))])
    with pytest.raises(DatasetError, match=f"{shard}: object '{key}' is there twice"):
        read_all(shard)


@pytest.mark.parametrize("cut", [0, 1, 100, 511, 512, 700, 0.1, 0.33, 0.5, 0.9])
def test_a_shard_that_is_cut_anywhere_is_refused(shard: Path, cut: float) -> None:
    content = shard.read_bytes()
    end = sum(512 + -(-len(data) // 512) * 512 for _, data in members(shard))
    shard.write_bytes(content[: int(cut if isinstance(cut, int) else cut * end)])
    with pytest.raises(DatasetError, match=str(shard)):
        read_all(shard)


def test_a_shard_that_ends_between_members_is_refused(shard: Path) -> None:
    content = members(shard)
    for left in (0, 1, len(content) // 2, len(content) - 1):
        pack(shard, content[:left])
        with pytest.raises(DatasetError, match=f"{shard}: (lacks . objects|object .* is not whole)"):
            read_all(shard)


def test_a_shard_that_is_not_there_is_refused(shard: Path) -> None:
    shard.unlink()
    with pytest.raises(DatasetError, match=str(shard)):
        read_all(shard)


def set_size(size: bytes) -> Callable[[bytearray], None]:
    def change(header: bytearray) -> None:
        header[124:136] = size

    return change


@pytest.mark.parametrize(
    "change",
    [
        set_size(b"77777777777\0"),  # eight gigabytes
        set_size(b"\x80" + (2**62).to_bytes(11, "big")),
        set_size(b"\xff" * 12),  # minus one
        lambda header: header.__setitem__(slice(156, 157), b"S"),  # sparse: may claim any size
        lambda header: header.__setitem__(slice(0, 8), b"\xff\xfe\x00\x01\x02\x03\x04\x05"),
    ],
)
def test_headers_that_claim_too_much_are_refused(shard: Path, change: Callable[[bytearray], None]) -> None:
    content = bytearray(shard.read_bytes())
    header = content[:512]
    change(header)
    header[148:156] = b" " * 8
    header[148:156] = f"{sum(header):06o}\0 ".encode()
    content[:512] = header
    shard.write_bytes(content)
    with pytest.raises(DatasetError, match=str(shard)):
        read_all(shard)


def test_a_sparse_member_is_refused(shard: Path) -> None:
    """Its content would be longer than what the archive holds of it; one so short is no bomb, but no plain file."""
    content = members(shard)
    member = tarfile.TarInfo(f"{content[0][0].name.partition('.')[0]}.x")
    member.pax_headers = {"GNU.sparse.map": "0,0", "GNU.sparse.size": "5"}
    pack(shard, [(member, b""), *content])
    with pytest.raises(DatasetError, match=f"{shard}: member .*x' is no plain file"):
        read_all(shard)


def test_a_compressed_archive_is_refused(shard: Path) -> None:
    """A bomb would have to be one."""
    import gzip

    shard.write_bytes(gzip.compress(shard.read_bytes()))
    with pytest.raises(DatasetError, match=f"{shard}: cannot be read as a tar archive"):
        read_all(shard)


def test_a_damaged_image_is_an_error_that_names_shard_and_member(shard: Path) -> None:
    content = members(shard)
    name = next(member.name for member, _ in content if ".images.0002." in member.name)
    broken = [(member, bytes(len(data)) if member.name == name else data) for member, data in content]
    pack(shard, broken)
    with pytest.raises(DatasetError, match=f"{shard}/{name}: cannot be read as an image"):
        read_all(shard, PosedSettings(outputs=("alpha",)))
    pack(shard, [pair for pair in content if pair[0].name != name])
    with pytest.raises(DatasetError, match=f"{shard}/{name}: no such member"):
        read_all(shard, PosedSettings(outputs=("alpha",)))


def test_a_single_bit_is_found_where_checksums_are_compared(shard: Path) -> None:
    content = members(shard)
    chosen = next(number for number, (member, _) in enumerate(content) if ".depth.0001." in member.name)
    data = bytearray(content[chosen][1])
    data[-20] ^= 1
    content[chosen] = (content[chosen][0], bytes(data))
    pack(shard, content)
    with pytest.raises(DatasetError, match=f"{shard}/{content[chosen][0].name}: damaged: not the file that was stored"):
        read_all(shard, PosedSettings(outputs=("depth",), verify=True))


def test_a_damaged_index_is_refused(shard: Path) -> None:
    path = shard.with_name("index.json")
    whole = json.loads(path.read_bytes())
    outside = {**whole, "shards": [{**whole["shards"][0], "name": "../000000.tar"}]}
    for content in ("", "[]", '{"shards": [{}]}', json.dumps(outside), '{"shards": [{"name": 3}]}'):
        path.write_text(content)
        with pytest.raises(DatasetError, match=f"{path}: no index of shards, or damaged"):
            stream(shard.parent)
    path.unlink()
    with pytest.raises(DatasetError, match=f"{path}: no such file. Give the folder of shards"):
        stream(shard.parent)
