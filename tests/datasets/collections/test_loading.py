"""Meshes that refer to what they must not, or that are broken: they load without it, or fail with a reason."""

import dataclasses
import json
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch

from render3d.datasets.collections import CollectionObject, open_collection
from render3d.errors import MeshError
from render3d.scenes import Mesh

TRIANGLE = "v 0 0 0\nv 1 0 0\nv 0 1 0\nvt 0 0\nvt 1 0\nvt 0 1\n"
TEXTURED = f"mtllib model.mtl\n{TRIANGLE}usemtl skin\nf 1/1 2/2 3/3\n"


def write(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def png(width: int, height: int) -> bytes:
    """A white image whose file is small, however many pixels it claims to have."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    rows = zlib.compress(b"\0" + b"\xff" * width) if height == 1 else zlib.compress(b"")
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def test_textures_of_shapenet_v2_lie_beside_the_folder_of_the_mesh_and_are_found_within_the_root(
    tmp_path: Path,
) -> None:
    model = tmp_path / "03001627" / "1a6f"
    mesh_path = write(model / "models" / "model_normalized.obj", TEXTURED)
    write(model / "models" / "model.mtl", "newmtl skin\nmap_Kd ../images/texture0.png\n")
    write(model / "images" / "texture0.png", png(1, 1))
    assert open_collection(tmp_path)[0].load().texture is not None
    alone = Mesh.load(mesh_path)
    assert alone.texture is None
    assert "'../images/texture0.png', which lies outside its folder" in alone.problems[0]


@pytest.mark.parametrize("reference", ["../secret.mtl", "{outside}/secret.mtl", "linked.mtl", "C:\\secret.mtl"])
def test_materials_outside_the_root_are_not_read(tmp_path: Path, reference: str) -> None:
    outside = write(tmp_path / "secret.mtl", "newmtl skin\nKd 1 0 0\n").parent
    root = tmp_path / "root"
    text = TEXTURED.replace("model.mtl", reference.format(outside=outside))
    path = write(root / "a.obj", text)
    (root / "linked.mtl").symlink_to(outside / "secret.mtl")
    mesh = CollectionObject("a", path, root).load()
    assert mesh.face_colors is None
    assert "which lies outside its folder" in mesh.problems[0]


def test_a_mesh_that_is_itself_outside_the_root_is_refused(tmp_path: Path) -> None:
    outside = write(tmp_path / "a.obj", TEXTURED)
    root = tmp_path / "root"
    root.mkdir()
    (root / "link.obj").symlink_to(outside)
    with pytest.raises(MeshError, match=r"a\.obj: lies outside root"):
        Mesh.load(outside, root)
    with pytest.raises(MeshError, match=r"link\.obj: lies outside root"):
        Mesh.load(root / "link.obj", root)


@pytest.mark.parametrize("name", ["x" * 5000 + ".mtl", "a\0b.mtl", "round.mtl", "pipe.mtl", "folder.mtl"])
def test_names_of_materials_that_are_no_files_cost_the_materials_only(tmp_path: Path, name: str) -> None:
    (tmp_path / "round.mtl").symlink_to("round.mtl")
    (tmp_path / "folder.mtl").mkdir()
    os.mkfifo(tmp_path / "pipe.mtl")
    mesh = Mesh.load(write(tmp_path / "a.obj", TEXTURED.replace("model.mtl", name)))
    assert mesh.faces.shape == (1, 3)
    assert "It refers to " in mesh.problems[0]


def test_names_of_windows_with_spaces_are_found(tmp_path: Path) -> None:
    write(tmp_path / "my skins" / "old one.mtl", "newmtl skin\nKd 1 0 0\n")
    mesh = Mesh.load(write(tmp_path / "a.obj", TEXTURED.replace("model.mtl", "my skins\\old one.mtl")))
    assert mesh.problems == ()
    assert mesh.face_colors is not None


@pytest.mark.parametrize("line", ["d", "Kd nan 0 0", "Kd 1 inf 0", "Kd", "Kd spectral a.rfl", "d half"])
def test_a_broken_line_of_a_material_costs_that_line_only(tmp_path: Path, line: str) -> None:
    write(tmp_path / "model.mtl", f"newmtl skin\nKd 1 0 0\n{line}\n")
    mesh = Mesh.load(write(tmp_path / "a.obj", TEXTURED))
    assert mesh.face_colors is not None
    assert mesh.face_colors.tolist() == [[1, 0, 0]]
    assert mesh.problems == (f"Material 'skin' has a line that cannot be read: {line!r}.",)


# Pillow warns above its limit and refuses at twice as much.
@pytest.mark.parametrize(("width", "height"), [(12_000, 8_000), (60_000, 60_000)])
def test_images_of_more_pixels_than_the_limit_are_refused(tmp_path: Path, width: int, height: int) -> None:
    write(tmp_path / "bomb.png", png(width, height))
    write(tmp_path / "model.mtl", "newmtl skin\nmap_Kd bomb.png\n")
    mesh = Mesh.load(write(tmp_path / "a.obj", TEXTURED))
    assert mesh.texture is None
    assert "Its texture 'bomb.png' is no image that can be read" in mesh.problems[0]
    assert "limit" in mesh.problems[0]


@pytest.mark.parametrize(("width", "height"), [(12_000, 8_000), (60_000, 60_000)])
def test_images_of_more_pixels_than_the_limit_are_refused_in_gltf(tmp_path: Path, width: int, height: int) -> None:
    write(tmp_path / "bomb.png", png(width, height))
    positions = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0]], dtype="<f4")
    uv = np.array([[0, 0], [1, 0], [0, 1]], dtype="<f4")
    write(tmp_path / "a.bin", positions.tobytes() + uv.tobytes())
    accessor = {"componentType": 5126, "count": 3}
    header = {
        "asset": {"version": "2.0"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0, "TEXCOORD_0": 1}, "material": 0}]}],
        "materials": [{"name": "skin", "pbrMetallicRoughness": {"baseColorTexture": {"index": 0}}}],
        "textures": [{"source": 0}],
        "images": [{"uri": "bomb.png"}],
        "buffers": [{"byteLength": 60, "uri": "a.bin"}],
        "bufferViews": [{"buffer": 0, "byteLength": 36}, {"buffer": 0, "byteOffset": 36, "byteLength": 24}],
        "accessors": [
            accessor | {"bufferView": 0, "type": "VEC3", "min": [0, 0, 0], "max": [1, 1, 0]},
            accessor | {"bufferView": 1, "type": "VEC2"},
        ],
    }
    mesh = Mesh.load(write(tmp_path / "a.gltf", json.dumps(header)))
    assert mesh.faces.shape == (1, 3)
    assert mesh.texture is None
    assert any("texture" in problem and "read" in problem for problem in mesh.problems)


def test_models_without_faces_are_an_error(tmp_path: Path) -> None:
    for text in ("# an empty model\n", "v 0 0 0\nv 1 0 0\n", "o chair\nv 0 0 0\nv 1 0 0\nl 1 2\n"):
        with pytest.raises(MeshError, match="no faces"):
            Mesh.load(write(tmp_path / "a.obj", text))


def test_broken_geometry_loads_is_reported_and_is_repaired(tmp_path: Path) -> None:
    tetrahedron = "v 0 0 0\nv 1 0 0\nv 0 1 0\nv 0 0 1\n"
    inwards = "f 1 2 3\nf 1 4 2\nf 1 3 4\nf 2 4 3\n"
    mesh = Mesh.load(write(tmp_path / "a.obj", f"{tetrahedron}v nan 0 0\n{inwards}f 1 2 5\nf 1 2 99\n"))
    report = mesh.check()
    assert not report.renderable
    found = (report.nonfinite_faces, report.out_of_range_faces, report.inside_out_bodies)
    assert found == (1, 1, 1)
    repaired = mesh.repair().check()
    assert repaired.renderable
    assert repaired.watertight
    assert (repaired.faces, repaired.inside_out_bodies) == (4, 0)


@pytest.mark.parametrize("index", [-1, 3, 2**40])
def test_a_mesh_with_indices_that_no_vertex_has_is_not_normalized(index: int) -> None:
    mesh = Mesh(torch.rand(3, 3), torch.tensor([[0, 1, 2], [0, 1, index]]))
    low, high = min(index, 0), max(index, 2)
    with pytest.raises(
        MeshError, match=rf"faces must index 3 vertices; got indices from {low} to {high}\. mesh\.repair\(\) drops"
    ):
        mesh.normalized()
    assert torch.isfinite(mesh.repair().normalized().vertices).all()
    named = dataclasses.replace(mesh, source=Path("chair.obj"))
    with pytest.raises(MeshError, match=r"faces must index 3 vertices in chair\.obj"):
        named.normalized()
