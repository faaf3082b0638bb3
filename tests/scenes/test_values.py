"""What is not finite or absurd is refused by renderers, counted by check, mended by repair, and listed by loading."""

import dataclasses
import math

import numpy as np
import pytest
import torch

from render3d import Cameras, Mesh, Texture
from render3d.errors import MeshError, ShapeError
from render3d.renderers import OpenGL
from render3d.scenes.values import LARGEST_SIDE

NAN, INF = math.nan, math.inf


def colored(cube, kind, value):
    """The cube, whose second colour or coordinate has this value somewhere."""
    if kind in ("colors", "face_colors"):
        colors = torch.full((8 if kind == "colors" else 12, 3), 0.5)
        colors[1, 2] = value
        return dataclasses.replace(cube, **{kind: colors})
    image, uv = torch.full((2, 3, 3), 0.5), torch.full((8, 2), 0.5)
    (image[0] if kind == "texture.image" else uv)[1, -1] = value
    return dataclasses.replace(cube, texture=Texture(image, uv))


KINDS = ["colors", "face_colors", "texture.image", "texture.uv"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("value", [NAN, INF, -INF, 255.0, -11.0, 3e6])
def test_renderers_refuse_what_check_counts_and_repair_mends(cube, kind, value):
    mesh = colored(cube, kind, value)
    finite = math.isfinite(value)
    if kind == "texture.uv" and abs(value) < 2**20:
        mesh.check_values()  # images repeat
        return
    message = {"texture.uv": "texture coordinates within"}.get(kind, "reflectances from 0 to 1")
    with pytest.raises(MeshError, match=rf"{kind} must be {message if finite else 'finite; got NaN or infinite'}"):
        OpenGL()(mesh, Cameras.sphere(views=1, distance=3.0, vertical_fov_degrees=46.0, image_size=(8, 8)))
    report = mesh.check()
    assert not report.renderable
    if kind == "texture.uv":
        assert report.unusable_texture_coordinates == 1
        expected = 0.0
    else:
        assert (report.nonfinite_colors, report.colors_far_outside_0_to_1) == (int(not finite), int(finite))
        expected = float(np.clip(value, 0, 1)) if finite else pytest.approx(0.6)
    mended = mesh.repair()
    assert mended.check().renderable
    tensor = mended.inputs()[kind][0]
    row = tensor[0, 1] if kind == "texture.image" else tensor[1]
    assert row[-1].item() == expected


def test_values_a_little_outside_are_rendered_and_kept(cube):
    """Noise and optimisers leave 0-1."""
    mesh = colored(cube, "colors", -1.5)
    mesh.check_values()
    assert mesh.check().renderable
    assert mesh.repair().colors.min() == -1.5


@pytest.mark.parametrize("size", [2e10, 1e20])
def test_vertices_so_far_away_that_normals_overflow(cube, size):
    mesh = cube.with_vertices(cube.vertices * size)
    with pytest.raises(MeshError, match=r"vertices must be positions within 1e10 of the origin.*mesh\.normalized\(\)"):
        mesh.check_values()
    assert mesh.check().far_vertices == 7
    assert not mesh.check().renderable
    mesh.normalized().check_values()


@pytest.mark.parametrize("shape", [(8, 4), (8, 1), (8, 2)])
@pytest.mark.parametrize("kind", ["colors", "face_colors"])
def test_colors_of_another_number_of_channels(cube, kind, shape):
    rows = 8 if kind == "colors" else 12
    with pytest.raises(ShapeError, match=rf"{kind} must have shape \[\*batch, N, 3\]; got \[{rows}, {shape[1]}\]"):
        dataclasses.replace(cube, **{kind: torch.zeros(rows, shape[1])})


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64, torch.bool])
def test_integers_are_no_colors(cube, dtype):
    with pytest.raises(MeshError, match=rf"colors must be floating point; got {dtype}"):
        dataclasses.replace(cube, colors=torch.zeros(8, 3, dtype=dtype))
    with pytest.raises(MeshError, match=rf"texture\.image must be floating point; got {dtype}"):
        Texture(torch.zeros(2, 2, 3, dtype=dtype), torch.zeros(8, 2))
    with pytest.raises(MeshError, match=rf"texture\.uv must be floating point; got {dtype}"):
        Texture(torch.zeros(2, 2, 3), torch.zeros(8, 2, dtype=dtype))


def test_bytes_are_told_how_to_become_colors(cube):
    with pytest.raises(MeshError, match=r"Divide bytes by 255 and decode them by render3d\.color\.srgb_to_linear"):
        dataclasses.replace(cube, colors=torch.zeros(8, 3, dtype=torch.uint8))


@pytest.mark.parametrize("shape", [(0, 4, 3), (4, 0, 3)])
def test_a_texture_without_pixels(shape):
    with pytest.raises(MeshError, match=rf"texture\.image must have pixels; got shape \[{shape[0]}, {shape[1]}, 3\]"):
        Texture(torch.zeros(shape), torch.zeros(8, 2))


def test_a_texture_larger_than_opengl_takes_is_refused_and_repair_shrinks_it(cube):
    image = torch.zeros(LARGEST_SIDE + 4, 2, 3)
    image[: LARGEST_SIDE // 2 + 2, 0, 0] = 1
    mesh = dataclasses.replace(cube, texture=Texture(image, torch.full((8, 2), 0.5)))
    with pytest.raises(MeshError, match=r"texture\.image must have at most 16384 pixels along a side.*\[16388, 2, 3\]"):
        mesh.check_values()
    assert mesh.check().oversized_textures == 1
    shrunk = mesh.repair().texture.image
    assert torch.equal(shrunk, image[::2])  # each pair of rows is alike
    mesh.repair().check_values()


def test_an_image_is_measured_again_when_it_changes(cube):
    mesh = colored(cube, "texture.image", 0.5)
    mesh.check_values()
    mesh.texture.image[0, 0, 0] = NAN
    with pytest.raises(MeshError, match=r"texture\.image must be finite"):
        mesh.check_values()
    with torch.inference_mode():
        colored(cube, "texture.image", 0.5).check_values()


def test_an_empty_batch_is_sound(cube):
    Mesh(cube.vertices.expand(0, 8, 3), cube.faces).check_values()


def test_of_a_batch_every_element_counts(cube):
    colors = torch.full((2, 8, 3), 0.5)
    colors[1, 7, 0] = NAN
    mesh = Mesh(cube.vertices.expand(2, 8, 3), cube.faces, colors)
    with pytest.raises(MeshError, match="colors must be finite"):
        mesh.check_values()
    assert mesh.check().nonfinite_colors == 1
    assert mesh.repair().colors.isfinite().all()
