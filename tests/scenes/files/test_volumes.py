"""Volumes in files: what returns, and what broken files say."""

import io
import os
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from render3d import Mesh, Volume
from render3d.errors import VolumeError
from render3d.testing.scenes import asymmetric_mesh

# Four voxels a side, in the order of the format: x slowest, then z, then y.
HEADER = b"#binvox 1\ndim 4 4 4\ntranslate -1.5 2.25 10\nscale 8\ndata\n"
OCCUPIED = [(0, 0, 0), (0, 1, 0), (3, 0, 0), (0, 0, 2), (2, 1, 3)]  # (x, y, z)
# Voxels 0 and 1; 0 + 2 * 4 + 0 = 8; 2 * 16 + 3 * 4 + 1 = 45; 3 * 16 = 48.
RUNS = bytes([1, 2, 0, 6, 1, 1, 0, 36, 1, 1, 0, 2, 1, 1, 0, 15])


def written(tmp_path: Path, content: bytes, name: str = "a.binvox") -> Path:
    path = tmp_path / name
    path.write_bytes(content)
    return path


def occupied(volume: Volume) -> NDArray[np.bool_]:
    """Axes (x, y, z)."""
    return (volume.occupancy[0] > 0.5).permute(2, 1, 0).numpy()


# npz


@settings(max_examples=50, deadline=None)
@given(
    values=hnp.arrays(
        st.sampled_from([np.float16, np.float32, np.float64]), hnp.array_shapes(min_dims=4, max_dims=4, max_side=4)
    ),
    extent=st.floats(1e-300, 1e300),
    placed=st.booleans(),
)
def test_npz_keeps_all_exactly(
    tmp_path_factory: pytest.TempPathFactory, values: NDArray[np.floating], extent: float, placed: bool
) -> None:
    path = tmp_path_factory.mktemp("npz") / "a.npz"
    to_source = torch.rand(4, 4) if placed else None
    Volume(torch.from_numpy(values), extent, to_source).save(path)
    volume = Volume.load(path)
    assert volume.values.dtype == torch.from_numpy(values).dtype
    assert volume.values.numpy().tobytes() == values.tobytes()  # NaN and -0.0 too
    assert volume.extent == extent
    if to_source is None:
        assert volume.to_source is None
    else:
        assert volume.to_source is not None
        assert torch.equal(volume.to_source, to_source)
    assert list(path.parent.iterdir()) == [path]


def test_npz_of_what_numpy_has_no_name_for(tmp_path: Path) -> None:
    values = torch.rand(1, 2, 2, 2).bfloat16().requires_grad_()
    Volume(values).save(tmp_path / "a.NPZ")
    loaded = Volume.load(tmp_path / "a.NPZ").values
    assert loaded.dtype == torch.float32
    assert torch.equal(loaded, values.detach().float())


def test_truncated_npz(tmp_path: Path) -> None:
    Volume(torch.rand(1, 2, 2, 2)).save(tmp_path / "a.npz")
    content = (tmp_path / "a.npz").read_bytes()
    for length in range(0, len(content), 7):
        with pytest.raises(VolumeError, match=r"a\.npz: (cannot be read as \.npz|the file is empty)"):
            Volume.load(written(tmp_path, content[:length], "a.npz"))


def test_npz_with_a_byte_changed_never_gives_other_values(tmp_path: Path) -> None:
    saved = Volume(torch.rand(1, 2, 2, 2), 2.0)
    saved.save(tmp_path / "a.npz")
    content = (tmp_path / "a.npz").read_bytes()
    refused = 0
    for position in range(0, len(content), 3):
        changed = content[:position] + bytes([content[position] ^ 0x55]) + content[position + 1 :]
        try:
            volume = Volume.load(written(tmp_path, changed, "a.npz"))
        except VolumeError:
            refused += 1
        else:
            assert torch.equal(volume.values, saved.values)
            assert volume.extent == saved.extent
    assert refused > 50


def npz(**arrays: object) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, **arrays)  # type: ignore[arg-type]
    return stream.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (npz(version=1, values=np.array([{}], dtype=object), extent=1.0), "allow_pickle=False"),
        (npz(version=1, values=np.ones((1, 2, 2, 2)), extent=np.array({}, dtype=object)), "allow_pickle=False"),
        (npz(values=np.ones((1, 2, 2, 2))), "it lacks version and extent, which Volume.save writes"),
        (npz(version=2, values=np.ones((1, 2, 2, 2)), extent=1.0), "its version is 2, and 1 is the one known"),
        (npz(version=1, values=np.ones((2, 2, 2)), extent=1.0), "values must have shape"),
        (npz(version=1, values=np.ones((2, 1, 2, 2, 2)), extent=1.0), r"\[2, 1, 2, 2, 2\], not \[C, D, H, W\]"),
        (npz(version=1, values=np.ones((1, 2, 2, 2), dtype=int), extent=1.0), "must be floating point"),
        (npz(version=1, values=np.ones((1, 2, 2, 2), dtype="S1"), extent=1.0), "TypeError"),
        (npz(version=1, values=np.ones((1, 2, 2, 2)), extent=-1.0), "extent must be positive"),
        (npz(version=1, values=np.ones((1, 2, 2, 2)), extent=1.0, to_source=np.eye(3)), "to_source must have shape"),
        (b"PK but no archive", "broken or truncated"),
        (b"\x93NUMPY", "broken or truncated"),
    ],
)
def test_npz_that_is_none_of_ours(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(VolumeError, match=rf"a\.npz: cannot be read as \.npz.*{message}"):
        Volume.load(written(tmp_path, content, "a.npz"))


# binvox


def test_a_binvox_file_written_by_hand(tmp_path: Path) -> None:
    volume = Volume.load(written(tmp_path, HEADER + RUNS))
    assert sorted(map(tuple, np.argwhere(occupied(volume)).tolist())) == sorted(OCCUPIED)
    assert volume.extent == 1.0
    assert volume.values.dtype == torch.float32
    # The centre of voxel (3, 0, 0), of which each is 2 wide, by the formula of the format.
    assert volume.to_source is not None
    place = volume.to_source @ torch.tensor([0.75, -0.75, -0.75, 1.0])
    assert place.tolist() == [-1.5 + 3.5 * 2, 2.25 + 0.5 * 2, 10 + 0.5 * 2, 1.0]


def test_what_the_header_of_a_binvox_file_may_hold(tmp_path: Path) -> None:
    header = b"#binvox 1\r\n# a comment\n\nscale 8\ndim  4 4 4 \ntranslate -1.5 2.25 10\ndata\n"
    usual = Volume.load(written(tmp_path, HEADER + RUNS))
    other = Volume.load(written(tmp_path, header + RUNS))
    assert torch.equal(other.values, usual.values)
    assert torch.equal(other.to_source, usual.to_source)  # type: ignore[arg-type]
    short = Volume.load(written(tmp_path, b"#binvox 1\ndim 4 4 4\ndata\n" + RUNS))  # the unit cube
    assert short.to_source is not None
    assert (short.to_source @ torch.tensor([-1.0, -1.0, 1.0, 1.0])).tolist() == [0.0, 0.0, 1.0, 1.0]


def test_version_2_of_binvox_has_voxels_of_any_number(tmp_path: Path) -> None:
    content = HEADER.replace(b"binvox 1", b"binvox 2") + bytes([200, 2]) + RUNS[2:]
    volume = Volume.load(written(tmp_path, content))
    assert torch.equal(volume.values, Volume.load(written(tmp_path, HEADER + RUNS)).values)


@settings(max_examples=50, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    size=st.integers(1, 9),
    share=st.sampled_from([0.0, 0.02, 0.5, 1.0]),
    extent=st.floats(1e-2, 1e2),
    scale=st.floats(1e-3, 1e3),
)
def test_binvox_keeps_voxels_and_place(
    tmp_path_factory: pytest.TempPathFactory, seed: int, size: int, share: float, extent: float, scale: float
) -> None:
    path = tmp_path_factory.mktemp("binvox") / "a.binvox"
    generator = torch.Generator().manual_seed(seed)
    voxels = torch.rand(size, size, size, generator=generator) < share
    to_source = torch.eye(4) * scale
    to_source[:, 3] = torch.tensor([0.5 * scale, -scale, 0.1 * scale, 1.0])
    volume = Volume(Volume.from_occupancy(voxels, extent=extent).values, extent, to_source)
    volume.save(path)
    loaded = Volume.load(path)
    assert np.array_equal(occupied(loaded), occupied(volume))
    cube = torch.cat([torch.cartesian_prod(*[torch.tensor([-1.0, 1.0])] * 3), torch.ones(8, 1)], dim=1).T
    spread = torch.tensor([extent, extent, extent, 1.0])[:, None]
    assert loaded.to_source is not None
    torch.testing.assert_close(
        loaded.to_source @ cube, to_source @ (spread * cube), atol=1e-5 * scale * (1 + extent), rtol=0
    )


def test_binvox_keeps_a_share_as_more_than_half_or_not(tmp_path: Path) -> None:
    shares = torch.tensor([[[0.3, 0.7], [0.49, 0.51]], [[0.0, 1.0], [0.2, 0.8]]])
    Volume.from_occupancy(shares, torch.rand(3, 2, 2, 2)).save(tmp_path / "a.binvox")
    loaded = Volume.load(tmp_path / "a.binvox")
    assert torch.equal(loaded.occupancy[0] > 0.5, shares > 0.5)
    assert loaded.channels == 1
    torch.testing.assert_close(loaded.to_source, torch.eye(4))


def test_a_mesh_returns_to_its_place_by_way_of_binvox(tmp_path: Path) -> None:
    mesh = asymmetric_mesh()
    mesh = mesh.with_vertices(40 * mesh.vertices + torch.tensor([7.0, -90.0, 300.0]))
    volume = Volume.from_mesh(mesh.normalized(), 48, kind="filled")
    volume.save(tmp_path / "a.binvox")
    returned = Volume.load(tmp_path / "a.binvox").to_mesh().restored()
    side = volume.voxel_side * float(volume.to_source[0, 0])  # type: ignore[index]
    for bound in (torch.amin, torch.amax):
        torch.testing.assert_close(bound(returned.vertices, 0), bound(mesh.vertices, 0), atol=side, rtol=0)


def test_binvox_is_what_another_reader_and_writer_understand(tmp_path: Path) -> None:
    volume = Volume.load(written(tmp_path, HEADER + RUNS))
    volume.save(tmp_path / "ours.binvox")
    for path in (tmp_path / "a.binvox", tmp_path / "ours.binvox"):
        with path.open("rb") as stream:
            grid = trimesh.exchange.binvox.load_binvox(stream)  # type: ignore[no-untyped-call]
        assert np.array_equal(grid.matrix, occupied(volume))
        assert np.allclose(grid.translation, [-1.5, 2.25, 10])
    theirs = written(tmp_path, trimesh.exchange.binvox.export_binvox(grid), "theirs.binvox")  # type: ignore[no-untyped-call]
    assert torch.equal(Volume.load(theirs).values, volume.values)


def test_long_runs_are_split(tmp_path: Path) -> None:
    for length in (254, 255, 256, 509, 510, 511):
        voxels = (torch.arange(512) < length).reshape(8, 8, 8).permute(1, 2, 0)  # from axes (x, z, y)
        Volume.from_occupancy(voxels).save(tmp_path / "a.binvox")
        assert torch.equal(Volume.load(tmp_path / "a.binvox").occupancy[0] > 0.5, voxels)
        runs = (tmp_path / "a.binvox").read_bytes().split(b"data\n")[1]
        assert all(runs[1::2])
        assert len(runs) == 2 * (-(-length // 255) + -(-(512 - length) // 255))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"binvox 1" + HEADER[9:] + RUNS, "must begin with a line '#binvox 1'"),
        (HEADER.replace(b"binvox 1", b"binvox 3") + RUNS, "must begin with a line '#binvox 1'"),
        (HEADER.replace(b"data\n", b"") + RUNS, "broken or truncated"),
        (b"#binvox 1\n" + b"# on and on\n" * 1_000_000, "a line 'data' must end its header"),
        (HEADER.replace(b"dim 4 4 4\n", b"") + RUNS, "dim must be three equal numbers"),
        (HEADER.replace(b"4 4 4", b"4 4 8") + RUNS, "dim must be three equal numbers from 1 to 2048; got '4 4 8'"),
        (HEADER.replace(b"4 4 4", b"0 0 0"), "got '0 0 0'"),
        (HEADER.replace(b"4 4 4", b"-4 -4 -4") + RUNS, "got '-4 -4 -4'"),
        (HEADER.replace(b"4 4 4", b"4 4 x") + RUNS, "ValueError"),
        (HEADER.replace(b"4 4 4", b"99999 99999 99999") + RUNS, "got '99999 99999 99999'"),
        (HEADER.replace(b"scale 8", b"scale 0") + RUNS, "scale must be a positive number"),
        (HEADER.replace(b"scale 8", b"scale inf") + RUNS, "scale must be a positive number"),
        (HEADER.replace(b"2.25", b"nan") + RUNS, "translate must be three finite numbers"),
        (HEADER.replace(b" 10", b"") + RUNS, "translate must be three finite numbers"),
        (HEADER + RUNS[:-1], "pairs of bytes; got 15 bytes"),
        (HEADER + RUNS[:-2], "promises 64 voxels, its runs hold 49"),
        (HEADER + RUNS + b"\x00\x01", "promises 64 voxels, its runs hold 65"),
        (HEADER + b"\x02" + RUNS[1:], "voxels must be 0 or 1 in version 1; got 2"),
    ],
)
def test_broken_binvox(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(VolumeError, match=rf"a\.binvox: cannot be read as \.binvox.*{message}"):
        Volume.load(written(tmp_path, content))


def test_a_truncated_binvox_file_is_refused_wherever_it_ends(tmp_path: Path) -> None:
    content = HEADER + RUNS
    for length in range(len(content)):
        with pytest.raises(VolumeError, match=r"a\.binvox: "):
            Volume.load(written(tmp_path, content[:length]))


def test_nothing_is_allocated_for_voxels_that_the_file_does_not_hold(tmp_path: Path) -> None:
    path = written(tmp_path, HEADER.replace(b"4 4 4", b"2048 2048 2048") + RUNS)
    tracemalloc.start()
    with pytest.raises(VolumeError, match="promises 8589934592 voxels, its runs hold 64"):
        Volume.load(path)
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()


# Both


@pytest.mark.parametrize("name", ["a.npz", "a.binvox"])
def test_what_cannot_be_read_or_written(tmp_path: Path, name: str) -> None:
    volume = Volume.from_occupancy(torch.ones(2, 2, 2))
    with pytest.raises(VolumeError, match=rf"{name}: no such file \(from /"):
        Volume.load(tmp_path / name)
    with pytest.raises(VolumeError, match=rf"{name}: the file is empty"):
        Volume.load(written(tmp_path, b"", name))
    with pytest.raises(VolumeError, match=rf"{name}: a file holds one volume; got a batch of shape \[1\]"):
        volume[None].save(tmp_path / name)
    with pytest.raises(VolumeError, match=rf"{name}: not written: No such file or directory"):
        volume.save(tmp_path / "absent" / name)


def test_other_suffixes(tmp_path: Path) -> None:
    volume = Volume.from_occupancy(torch.ones(2, 2, 2))
    with pytest.raises(VolumeError, match=r"a\.npy: volumes are read from \.npz, \.binvox; got '\.npy'"):
        Volume.load(written(tmp_path, b"x", "a.npy"))
    with pytest.raises(VolumeError, match=r"a: volumes are written to \.npz, \.binvox; got 'no suffix'"):
        volume.save(tmp_path / "a")


def test_what_binvox_has_no_place_for(tmp_path: Path) -> None:
    with pytest.raises(VolumeError, match=r"as many voxels along each axis.*got \(2, 3, 2\)\. Save as \.npz"):
        Volume.from_occupancy(torch.ones(2, 3, 2)).save(tmp_path / "a.binvox")
    full = Volume.from_occupancy(torch.ones(2, 2, 2))
    for turned in (torch.eye(4)[[1, 0, 2, 3]], torch.diag(torch.tensor([1.0, 2, 1, 1])), -torch.eye(4)):
        with pytest.raises(VolumeError, match="keep a shift and a scale, and to_source turns the volume or stretches"):
            Volume(full.values, 1.0, turned).save(tmp_path / "a.binvox")
    for broken in (torch.eye(4) * torch.nan, torch.eye(4) * torch.inf):
        with pytest.raises(VolumeError, match="to_source"):
            Volume(full.values, 1.0, broken).save(tmp_path / "a.binvox")
    with pytest.raises(VolumeError, match="must be finite"):
        Volume(full.values * torch.nan).save(tmp_path / "a.binvox")
    assert list(tmp_path.iterdir()) == []


def test_a_save_that_fails_keeps_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full_disk(number: int) -> None:
        raise OSError(28, "No space left on device")

    volume = Volume.from_mesh(Mesh.icosphere(1), 8)
    volume.save(tmp_path / "a.npz")
    before = (tmp_path / "a.npz").read_bytes()
    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(VolumeError, match=r"a\.npz: not written: No space left on device"):
        Volume.from_occupancy(torch.ones(2, 2, 2)).save(tmp_path / "a.npz")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a.npz", before)]


def test_a_place_that_is_not_finite_is_refused(tmp_path: Path) -> None:
    place = np.eye(4, dtype=np.float32)
    place[0, 3] = np.nan
    np.savez(tmp_path / "a.npz", version=1, values=np.ones((1, 2, 2, 2), np.float32), extent=1.0, to_source=place)
    with pytest.raises(VolumeError, match="to_source has numbers that are not finite"):
        Volume.load(tmp_path / "a.npz")
