"""Saving meshes, and what all readers have in common."""

import dataclasses
import errno
import json
import os
import resource
import subprocess
import sys

import numpy as np
import pytest
import torch
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from render3d import Mesh, Shading, Texture
from render3d.color import linear_to_srgb, srgb_to_linear
from render3d.data import chicken
from render3d.errors import MeshError
from render3d.renderers import OpenGL
from render3d.testing.scenes import uneven_cameras

SUFFIXES = ["obj", "off", "ply", "stl", "glb"]


def with_colors(mesh, kind):
    generator = torch.Generator().manual_seed(0)
    if kind == "colors":
        return dataclasses.replace(mesh, colors=torch.rand(len(mesh.vertices), 3, generator=generator))
    if kind == "face_colors":
        return dataclasses.replace(mesh, face_colors=torch.rand(len(mesh.faces), 3, generator=generator))
    image = torch.rand(5, 4, 3, generator=generator)
    if kind == "seams":
        uv, corners = torch.rand(9, 2, generator=generator), torch.randint(9, mesh.faces.shape, generator=generator)
        return dataclasses.replace(mesh, texture=Texture(image, uv, corners))
    # Coordinates that differ, so that no two corners fall together.
    return dataclasses.replace(mesh, texture=Texture(image, torch.rand(len(mesh.vertices), 2, generator=generator)))


def assert_same_up_to_8_bits(loaded, saved):
    torch.testing.assert_close(linear_to_srgb(loaded), linear_to_srgb(saved), atol=0.5 / 255 + 1e-5, rtol=0)


@pytest.mark.parametrize("suffix", SUFFIXES)
@settings(max_examples=20, deadline=None)
@given(
    vertices=hnp.arrays(
        np.float32, (6, 3), elements=st.floats(-1e6, 1e6, width=32, allow_subnormal=False), unique=True
    ),
    faces=hnp.arrays(np.int64, st.tuples(st.integers(1, 8), st.just(3)), elements=st.integers(0, 5)),
)
def test_shapes_return_exactly(tmp_path_factory, suffix, vertices, faces):
    path = tmp_path_factory.mktemp("shape") / f"a.{suffix}"
    mesh = Mesh(torch.from_numpy(vertices), torch.from_numpy(faces))
    mesh.save(path)
    loaded = Mesh.load(path)
    assert loaded.problems == ()
    assert loaded.vertices.dtype == torch.float32
    assert torch.equal(loaded.vertices[loaded.faces], mesh.vertices[mesh.faces])
    if suffix != "stl":
        assert torch.equal(loaded.vertices, mesh.vertices)
        assert torch.equal(loaded.faces, mesh.faces)
    assert (loaded.colors, loaded.face_colors, loaded.texture) == (None, None, None)


@pytest.mark.parametrize("suffix", ["obj", "off", "ply"])
@pytest.mark.parametrize("kind", ["colors", "face_colors"])
def test_colors_return(tmp_path, cube, suffix, kind):
    mesh = with_colors(cube, kind)
    mesh.save(tmp_path / f"a.{suffix}")
    loaded = Mesh.load(tmp_path / f"a.{suffix}")
    assert_same_up_to_8_bits(getattr(loaded, kind), getattr(mesh, kind))
    assert torch.equal(loaded.faces, mesh.faces)


def test_glb_vertex_colors_return_linear(tmp_path, cube):
    mesh = with_colors(cube, "colors")
    mesh.save(tmp_path / "a.glb")
    torch.testing.assert_close(Mesh.load(tmp_path / "a.glb").colors, mesh.colors, atol=0.5 / 255 + 1e-6, rtol=0)


def test_glb_face_colors_return_on_vertices_of_their_own(tmp_path, cube):
    mesh = with_colors(cube, "face_colors")
    mesh.save(tmp_path / "a.glb")
    loaded = Mesh.load(tmp_path / "a.glb")
    corners = loaded.colors[loaded.faces]
    torch.testing.assert_close(corners, mesh.face_colors[:, None].expand(-1, 3, -1), atol=0.5 / 255 + 1e-6, rtol=0)
    assert torch.equal(loaded.vertices[loaded.faces], mesh.vertices[mesh.faces])


@pytest.mark.parametrize("suffix", ["obj", "glb"])
def test_textures_return(tmp_path, cube, suffix):
    mesh = with_colors(cube, "texture")
    mesh.save(tmp_path / f"a b.{suffix}")
    loaded = Mesh.load(tmp_path / f"a b.{suffix}")
    assert loaded.problems == ()
    assert_same_up_to_8_bits(loaded.texture.image, mesh.texture.image)
    torch.testing.assert_close(loaded.texture.uv[loaded.faces], mesh.texture.uv[mesh.faces])
    assert torch.equal(loaded.vertices[loaded.faces], mesh.vertices[mesh.faces])


@pytest.mark.parametrize("suffix", ["obj", "glb"])
def test_textures_with_seams_return(tmp_path, cube, suffix):
    """An OBJ keeps the vertices; a GLB must split them, and they can be merged."""
    mesh = with_colors(cube, "seams")
    for name in ("a", "b"):  # what was read is written and read again
        mesh.save(tmp_path / f"{name}.{suffix}")
        loaded = Mesh.load(tmp_path / f"{name}.{suffix}")
        assert loaded.problems == ()
        assert_same_up_to_8_bits(loaded.texture.image, mesh.texture.image)
        torch.testing.assert_close(loaded.texture.uv[loaded.uv_faces], mesh.texture.uv[mesh.uv_faces])
        assert torch.equal(loaded.vertices[loaded.faces], mesh.vertices[mesh.faces])
        assert len(loaded.vertices) == (8 if suffix == "obj" else len(mesh.split().vertices))
        mesh = loaded
    assert (mesh.texture.faces is None) == (suffix == "glb")
    welded = mesh.merged()
    assert welded.vertices.shape == (8, 3)
    assert torch.equal(welded.vertices[welded.faces], cube.vertices[cube.faces])


@pytest.mark.parametrize("suffix", ["obj", "glb"])
def test_a_textured_model_looks_the_same_when_it_is_read_back(tmp_path, suffix):
    model = chicken().normalized()
    model.save(tmp_path / f"a.{suffix}")
    loaded = Mesh.load(tmp_path / f"a.{suffix}")
    assert len(loaded.vertices) == {"obj": len(model.vertices), "glb": len(model.split().vertices)}[suffix]
    assert torch.equal(loaded.merged().faces, model.faces)
    assert torch.equal(loaded.merged().vertices, model.vertices)
    cameras, renderer = uneven_cameras("perspective")[:2], OpenGL(Shading(normals="smooth"))
    expected, found = (renderer(mesh, cameras) for mesh in (model, loaded.merged()))
    torch.testing.assert_close(found.rgb, expected.rgb, atol=2e-3, rtol=0)
    flat = OpenGL()
    torch.testing.assert_close(flat(loaded, cameras).rgb, flat(model, cameras).rgb, atol=2e-3, rtol=0)


def test_a_glb_of_seams_with_indices_out_of_range_is_refused(tmp_path, cube):
    mesh = dataclasses.replace(with_colors(cube, "seams"), faces=cube.faces + 1)
    with pytest.raises(MeshError, match="faces must index 8 vertices; got indices from 1 to 8"):
        mesh.save(tmp_path / "a.glb")


@pytest.mark.parametrize(("suffix", "kind"), [("stl", "colors"), ("ply", "texture"), ("off", "texture")])
def test_colors_that_a_format_cannot_hold_are_refused(tmp_path, cube, suffix, kind):
    mesh = with_colors(cube, kind)
    with pytest.raises(MeshError, match=rf"a\.{suffix}: \.{suffix} files hold no {kind}, .*mesh\.without_colors\(\)"):
        mesh.save(tmp_path / f"a.{suffix}")
    assert list(tmp_path.iterdir()) == []
    mesh.without_colors().save(tmp_path / f"a.{suffix}")


def test_what_cannot_be_saved_is_refused(tmp_path, cube):
    with pytest.raises(
        MeshError, match=r"a\.fbx: meshes are written to \.obj, \.off, \.ply, \.stl, \.glb; got '\.fbx'"
    ):
        cube.save(tmp_path / "a.fbx")
    with pytest.raises(MeshError, match=r"one mesh; got a batch of shape \[2\]. Save mesh\[0\]"):
        Mesh.stack([cube, cube]).save(tmp_path / "a.ply")
    with pytest.raises(MeshError, match=r"none/a\.ply: not written: No such file or directory"):
        cube.save(tmp_path / "none" / "a.ply")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_full_disk_leaves_what_was_there(tmp_path, cube, monkeypatch, suffix):
    cube.save(tmp_path / f"a.{suffix}")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def no_space(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(MeshError, match=rf"a\.{suffix}.*: not written: No space left on device. Free space"):
        cube.with_vertices(cube.vertices * 2).save(tmp_path / f"a.{suffix}")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_write_that_the_system_cuts_short_leaves_nothing(tmp_path):
    sphere = with_colors(Mesh.icosphere(3), "texture")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(MeshError, match=r"a\.png and .*a\.mtl and .*a\.obj: not written: File too large"):
            sphere.save(tmp_path / "a.obj")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", [*SUFFIXES, "gltf"])
def test_missing_and_empty_files(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    with pytest.raises(MeshError, match=rf"a\.{suffix}: no such file"):
        Mesh.load(path)
    path.touch()
    with pytest.raises(MeshError, match=rf"a\.{suffix}: the file is empty; fetch it again"):
        Mesh.load(str(path))


def test_unknown_formats(tmp_path):
    with pytest.raises(MeshError, match=r"a\.blend: meshes are read from \.obj, .*; got '\.blend'. Convert it"):
        Mesh.load(tmp_path / "a.blend")
    with pytest.raises(MeshError, match="got 'no suffix'"):
        Mesh.load(tmp_path / "a")


@pytest.mark.parametrize("suffix", ["off", "ply", "stl", "glb"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_truncated_files(tmp_path, cube, suffix, share):
    path = tmp_path / f"a.{suffix}"
    cube.save(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(MeshError, match=rf"a\.{suffix}: .*(truncated|broken|no OFF file)"):
        Mesh.load(path)


@pytest.mark.parametrize("suffix", [*SUFFIXES, "gltf"])
def test_files_of_something_else(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 4)
    with pytest.raises(MeshError, match=rf"a\.{suffix}: "):
        Mesh.load(path)


PLY = "ply\nformat ascii 1.0\nelement vertex 4\nproperty float x\nproperty float y\nproperty float z\n{0}end_header\n"
SQUARE = "0 0 0\n1 0 0\n1 1 0\n0 1 0\n"
LIST = "element face {0}\nproperty list uchar int vertex_indices\n"


def test_ply_of_text_with_polygons(write):
    mesh = Mesh.load(write("a.ply", PLY.format(LIST.format(1)) + SQUARE + "4 0 1 2 3\n"))
    assert mesh.face_normals().tolist() == [[0, 0, 1], [0, 0, 1]]


def test_ply_of_text_cut_between_lines(write):
    with pytest.raises(MeshError, match=r"a\.ply: truncated: 1 of 2 face rows; fetch the file again"):
        Mesh.load(write("a.ply", PLY.format(LIST.format(2)) + SQUARE + "3 0 1 2\n"))


def test_point_clouds_are_refused(write):
    with pytest.raises(MeshError, match=r"a\.ply: no faces; points and lines alone"):
        Mesh.load(write("a.ply", PLY.format("") + SQUARE))
    with pytest.raises(MeshError, match=r"a\.off: no faces"):
        Mesh.load(write("a.off", "OFF\n4 0 0\n" + SQUARE))


def test_off_of_many_kinds(write):
    face = "3 0 1 2"
    rows = ["0 0 0", "1 0 0", "0 1 0"]
    plain = Mesh.load(write("a.off", "OFF3 1 0 # glued\n\n" + "\n".join([*rows, face])))
    assert plain.faces.tolist() == [[0, 1, 2]]
    grey = srgb_to_linear(torch.tensor(0.5))
    for header, tail in (("COFF", " 0.5 0.5 0.5 1"), ("CNOFF", " 0 0 1 0.5 0.5 0.5 1.0")):
        mesh = Mesh.load(write("b.off", "\n".join([header, "3 1 0", *(row + tail for row in rows), face])))
        torch.testing.assert_close(mesh.colors, grey.expand(3, 3))
    mixed = Mesh.load(write("c.off", "\n".join(["OFF", "3 2 0", *rows, face + " 255 0 0", "3 2 1 0"])))
    assert mixed.face_colors[0].tolist() == [1, 0, 0]
    with pytest.raises(MeshError, match=r"d\.off: the file is truncated or broken"):
        Mesh.load(write("d.off", "\n".join(["OFF", "3 1 0", *rows, "4 0 1 2"])))


def test_scenes_are_merged_in_place(tmp_path, cube):
    box = trimesh.Trimesh(cube.vertices.numpy(), cube.faces.numpy(), process=False)
    scene = trimesh.Scene()
    move = trimesh.transformations.translation_matrix([5, 0, 0])
    scene.add_geometry(box, node_name="left")
    turn = np.round(trimesh.transformations.rotation_matrix(np.pi / 2, [0, 0, 1]))
    scene.add_geometry(box, node_name="right", transform=move @ turn @ np.diag([-1.0, 2, 1, 1]))
    scene.export(tmp_path / "a.glb")
    mesh = Mesh.load(tmp_path / "a.glb")
    assert mesh.faces.shape == (24, 3)
    assert mesh.vertices.amin(0).tolist() == [0, -1, 0]
    assert mesh.vertices.amax(0).tolist() == [5, 1, 1]
    report = mesh.check()
    assert (report.inside_out_bodies, report.inconsistent_edges) == (0, 0)  # though one is mirrored


def as_gltf(tmp_path, cube, **changes):
    """The cube as glTF with its buffer beside it, its header changed."""
    files = trimesh.exchange.gltf.export_gltf(trimesh.Scene(trimesh.Trimesh(cube.vertices, cube.faces, process=False)))
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    header = json.loads(files["model.gltf"])
    header.update(changes)
    (tmp_path / "model.gltf").write_text(json.dumps(header))
    return tmp_path / "model.gltf", header


def test_gltf_reads_buffers_of_its_folder_only(tmp_path, cube):
    (tmp_path / "sub").mkdir()
    path, header = as_gltf(tmp_path / "sub", cube)
    assert torch.equal(Mesh.load(path).vertices, cube.vertices)
    name = header["buffers"][0]["uri"]
    (tmp_path / "sub" / name).rename(tmp_path / name)
    with pytest.raises(MeshError, match=f"model.gltf: It refers to '{name}', which is missing"):
        Mesh.load(path)
    header["buffers"][0]["uri"] = f"../{name}"
    path.write_text(json.dumps(header))
    with pytest.raises(MeshError, match=f"It refers to '../{name}', which lies outside its folder"):
        Mesh.load(path)


def test_gltf_materials(tmp_path, cube):
    material = {"name": "skin", "pbrMetallicRoughness": {"baseColorFactor": [0.2, 0.4, 0.6, 1.0]}}
    path, header = as_gltf(tmp_path, cube, materials=[material])
    header["meshes"][0]["primitives"][0]["material"] = 0
    path.write_text(json.dumps(header))
    torch.testing.assert_close(Mesh.load(path).face_colors[0], torch.tensor([0.2, 0.4, 0.6]))  # linear as it stands
    material["pbrMetallicRoughness"]["baseColorTexture"] = {"index": 0}
    header.update(textures=[{"source": 0}], images=[{"uri": "../none.png"}])
    path.write_text(json.dumps(header))
    mesh = Mesh.load(path)
    assert mesh.texture is None
    assert "'../none.png', which lies outside its folder" in mesh.problems[0]
    assert mesh.problems[1] == "The texture of material 'skin' could not be read."


def test_importing_meshes_loads_no_trimesh():
    code = "import sys, render3d.scenes; sys.exit('trimesh' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
