"""glTF: materials, textures and extensions, against section 3.9 of the specification and those of the extensions."""

import math

import numpy as np
import pytest
import torch

from render3d import Cameras, Shading
from render3d.errors import MeshError
from render3d.renderers import OpenGL
from tests.scenes.files.gltf_files import GltfFile

UV = [[0, 1], [1, 1], [1, 0], [0, 0]]  # of the square, v downwards: its lower left corner shows that of the image
RED, GREEN, BLUE, WHITE = [255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]
QUARTERS = np.repeat(np.repeat([[RED, GREEN], [BLUE, WHITE]], 8, 0), 8, 1)


def textured(pixels=QUARTERS, uv=UV, file_format="PNG", **material):
    """A square with an image; the material's ``pbrMetallicRoughness`` is added to."""
    file = GltfFile()
    file.header |= {"textures": [{"source": file.image(pixels, file_format)}]}
    pbr = {"baseColorTexture": {"index": 0}} | material.pop("pbrMetallicRoughness", {})
    number = file.add("materials", pbrMetallicRoughness=pbr, **material)
    return file, file.square(attributes={"TEXCOORD_0": file.accessor(uv)}, material=number)


def seen(mesh):
    """The colours of the quarters of the unit square, as they are drawn: top left, top right, bottom left and right."""
    angle = 2 * math.degrees(math.atan(0.1))  # the square fills the view
    cameras = Cameras.look_at((0.5, 0.5, 5), target=(0.5, 0.5, 0), vertical_fov_degrees=angle, image_size=(4, 4))
    rgb = OpenGL(Shading.unlit())(mesh, cameras).rgb[0]
    return [[round(value) for value in (255 * rgb[:, row, column]).tolist()] for row in (0, 3) for column in (0, 3)]


def test_colour_factors_keep_their_precision(load_gltf):
    file = GltfFile()
    for factor in (0.0015, 0.123456789):
        file.add("materials", pbrMetallicRoughness={"baseColorFactor": [factor, 1, 0, 1]})
    mesh = load_gltf(file, file.square(material=0), file.square(material=1))
    expected = torch.tensor([[0.0015, 1, 0]] * 2 + [[0.123456789, 1, 0]] * 2)
    assert torch.equal(mesh.face_colors, expected)


def test_a_texture_is_multiplied_by_the_colour_in_linear_light(load_gltf):
    file, square = textured([[[188, 188, 188]]], pbrMetallicRoughness={"baseColorFactor": [1, 0.5, 0.001, 1]})
    linear = ((188 / 255 + 0.055) / 1.055) ** 2.4
    file.header["materials"][0]["pbrMetallicRoughness"]["baseColorTexture"] = {"index": 0}
    expected = torch.tensor([linear, linear / 2, linear / 1000])
    torch.testing.assert_close(load_gltf(file, square).texture.image[0, 0], expected)


def test_textures_lie_the_right_way_up(load_gltf):
    assert seen(load_gltf(*textured())) == [RED, GREEN, BLUE, WHITE]


def test_the_set_of_texture_coordinates_is_chosen(load_gltf):
    file, square = textured(uv=[[0.25, 0.25]] * 4)
    square["attributes"]["TEXCOORD_1"] = file.accessor(UV)
    texture = file.header["materials"][0]["pbrMetallicRoughness"]["baseColorTexture"]
    assert seen(load_gltf(file, square)) == [RED] * 4
    texture["texCoord"] = 1
    assert seen(load_gltf(file, square)) == [RED, GREEN, BLUE, WHITE]
    texture["extensions"] = {"KHR_texture_transform": {"texCoord": 0}}
    assert seen(load_gltf(file, square)) == [RED] * 4
    texture["texCoord"] = 7
    del texture["extensions"]
    mesh = load_gltf(file, square)
    assert mesh.texture is None
    assert mesh.problems == ("2 faces have a texture image but no texture coordinates; drawn in one colour.",)


@pytest.mark.parametrize(
    ("transform", "expected"),
    [
        ({}, [RED, GREEN, BLUE, WHITE]),
        ({"offset": [0.5, 0]}, [GREEN, RED, WHITE, BLUE]),
        ({"offset": [0, 0.5]}, [BLUE, WHITE, RED, GREEN]),
        ({"scale": [0.5, 0.5]}, [RED] * 4),
        ({"scale": [1, -1], "offset": [0, 1]}, [BLUE, WHITE, RED, GREEN]),  # an example of the extension's README
        # Its other example: "the lower left quadrant, rotated clockwise".
        ({"offset": [0, 1], "rotation": math.pi / 2, "scale": [0.5, 0.5]}, [BLUE] * 4),
        # The image turned clockwise: what was at its lower left is at its upper left.
        ({"offset": [0, 1], "rotation": math.pi / 2}, [BLUE, RED, WHITE, GREEN]),
        # Scaled first: u spans the left half, then turned, it spans the lower half of v.
        ({"offset": [0, 1], "rotation": math.pi / 2, "scale": [0.5, 1]}, [BLUE, BLUE, WHITE, WHITE]),
    ],
)
def test_texture_transforms(load_gltf, transform, expected):
    file, square = textured()
    texture = file.header["materials"][0]["pbrMetallicRoughness"]["baseColorTexture"]
    texture["extensions"] = {"KHR_texture_transform": transform}
    mesh = load_gltf(file, square)
    assert seen(mesh) == expected
    assert mesh.problems == ()


@pytest.mark.parametrize("names", [{}, {"name": "same"}])
def test_materials_are_told_apart_by_number_and_not_by_name(load_gltf, names):
    file, square = textured(**names)
    moved = {"index": 0, "extensions": {"KHR_texture_transform": {"offset": [0.5, 0]}}}
    file.add("materials", **names, pbrMetallicRoughness={"baseColorTexture": moved})
    other = square | {"material": 1}
    mesh = load_gltf(file, square, other)
    u = mesh.texture.uv[mesh.uv_faces][..., 0]
    torch.testing.assert_close(u[2:] - u[:2], torch.full((2, 3), 0.5))
    assert mesh.texture.image.shape == (16, 16, 3)  # the image is held once


@pytest.mark.parametrize("axis", [0, 1])
def test_images_that_do_not_repeat_are_listed_only_where_coordinates_go_beyond(load_gltf, axis):
    file, square = textured(name="wall")
    file.header |= {"samplers": [{("wrapS", "wrapT")[axis]: 33071}]}
    file.header["textures"][0]["sampler"] = 0
    assert load_gltf(file, square).problems == ()
    beyond = np.array(UV, dtype=float)
    beyond[:, axis] *= 2
    square["attributes"]["TEXCOORD_0"] = file.accessor(beyond)
    assert load_gltf(file, square).problems == (
        "Material 'wall' does not repeat its texture beyond 0-1; drawn repeated.",
    )
    beyond[:, 1 - axis], beyond[:, axis] = beyond[:, axis].copy(), 0.5
    square["attributes"]["TEXCOORD_0"] = file.accessor(beyond)
    assert load_gltf(file, square).problems == ()


def test_the_diffuse_colour_of_specular_glossiness_is_the_base_colour(load_gltf):
    name = "KHR_materials_pbrSpecularGlossiness"
    file = GltfFile(extensionsRequired=[name])
    gloss = {"diffuseFactor": [0.5, 0.1, 0.1, 1], "specularFactor": [0.8, 0.8, 0.8]}
    file.add("materials", extensions={name: gloss}, pbrMetallicRoughness={"baseColorFactor": [0, 1, 0, 1]})
    assert torch.equal(load_gltf(file, file.square(material=0)).face_colors, torch.tensor([[0.5, 0.1, 0.1]] * 2))
    file, square = textured()
    del file.header["materials"][0]["pbrMetallicRoughness"]
    file.header["materials"][0]["extensions"] = {name: {"diffuseTexture": {"index": 0}}}
    assert seen(load_gltf(file, square)) == [RED, GREEN, BLUE, WHITE]


ALPHA = [
    ({"alphaMode": "OPAQUE"}, 0, None),
    ({"alphaMode": "BLEND"}, 1, None),
    ({"alphaMode": "BLEND"}, 0.5, "Material 'glass' is transparent; drawn opaque."),
    ({"alphaMode": "MASK"}, 0.5, None),
    (
        {"alphaMode": "MASK"},
        0.25,
        "Material 'glass' is invisible, its alpha 0.25 being below its cutoff 0.5; drawn opaque.",
    ),
    ({"alphaMode": "MASK", "alphaCutoff": 0.2}, 0.25, None),
    (
        {"extensions": {"KHR_materials_transmission": {"transmissionFactor": 0.9}}},
        1,
        "Material 'glass' is transparent; drawn opaque.",
    ),
]


@pytest.mark.parametrize(("material", "alpha", "problem"), ALPHA)
def test_transparency_is_listed(load_gltf, material, alpha, problem):
    file = GltfFile()
    file.add("materials", name="glass", pbrMetallicRoughness={"baseColorFactor": [1, 0, 0, alpha]}, **material)
    mesh = load_gltf(file, file.square(material=0), file.square(material=0))
    assert mesh.face_colors[0].tolist() == [1, 0, 0]
    assert mesh.problems == (() if problem is None else (problem,))


@pytest.mark.parametrize(("mode", "listed"), [("OPAQUE", False), ("MASK", True), ("BLEND", True)])
def test_transparent_images_are_listed_unless_alpha_is_to_be_ignored(load_gltf, mode, listed):
    pixels = np.full((2, 2, 4), 255)
    pixels[0, 0, 3] = 0
    mesh = load_gltf(*textured(pixels, alphaMode=mode))
    expected = ("Its texture 'images[0]' is transparent in places; drawn opaque.",)
    assert mesh.problems == (expected if listed else ())
    assert mesh.texture.image.min() == 1


def test_vertex_colours_are_linear_and_multiply_the_colour_of_the_material(load_gltf):
    file = GltfFile()
    file.add("materials", alphaMode="BLEND", pbrMetallicRoughness={"baseColorFactor": [0.5, 1, 0.25, 1]})
    color = file.accessor([[1, 0.5, 0.2, 0.5]] * 4)
    mesh = load_gltf(file, file.square(attributes={"COLOR_0": color}, material=0))
    torch.testing.assert_close(mesh.colors, torch.tensor([[0.5, 0.5, 0.05]]).expand(4, 3))
    assert mesh.problems == ("Material number 0 is transparent; drawn opaque.",)


@pytest.mark.parametrize(("shade", "problems"), [(1, 0), (0.5, 1)])
def test_vertex_colours_beside_textures_are_listed_unless_they_are_white(load_gltf, shade, problems):
    file, square = textured()
    square["attributes"]["COLOR_0"] = file.accessor(np.full((4, 3), shade))
    mesh = load_gltf(file, square)
    assert seen(mesh) == [RED, GREEN, BLUE, WHITE]
    assert len(mesh.problems) == problems


@pytest.mark.parametrize("plain", [True, False])
def test_webp_images_of_the_extension_are_read(load_gltf, plain):
    file, square = textured(file_format="WEBP")
    file.header |= {"extensionsRequired": ["EXT_texture_webp"]}
    texture = {"extensions": {"EXT_texture_webp": {"source": 0}}}
    if plain:  # an image of another kind for those that read no WebP
        texture["source"] = file.image([[[0, 0, 0]]])
    file.header["textures"] = [texture]
    assert seen(load_gltf(file, square)) == [RED, GREEN, BLUE, WHITE]


def test_avif_images_give_way_to_those_that_can_be_read(load_gltf):
    file, square = textured()
    black = file.image([[[0, 0, 0]]])
    file.header["textures"] = [{"source": 0, "extensions": {"EXT_texture_avif": {"source": black}}}]
    assert seen(load_gltf(file, square)) == [RED, GREEN, BLUE, WHITE]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (
            {"textures": [{"extensions": {"KHR_texture_basisu": {"source": 0}}}]},
            r"textures[0] has no image of a kind that can be read (KHR_texture_basisu).",
        ),
        ({"textures": [{"source": 5}]}, "images[5] is referred to; there are 1 images."),
        (
            {"images": [{"uri": "data:image/png;base64"}]},
            "the data URI 'data:image/png;base64' has no comma: truncated or broken.",
        ),
        ({"images": [{"bufferView": 99}]}, "bufferViews[99] is referred to; there are 4 bufferViews."),
    ],
)
def test_textures_that_cannot_be_read_are_listed_and_leave_the_colour(load_gltf, change, reason):
    file, square = textured(name="skin", pbrMetallicRoughness={"baseColorFactor": [0.5, 0, 0, 1]})
    file.header |= change
    mesh = load_gltf(file, square)
    assert mesh.face_colors[0].tolist() == [0.5, 0, 0]
    assert f"A texture could not be read: {reason}" in mesh.problems
    assert mesh.problems[-1] == "The texture of material 'skin' could not be read."


@pytest.mark.parametrize(
    ("material", "reason"),
    [
        ({"pbrMetallicRoughness": []}, "pbrMetallicRoughness must be an object; got []."),
        ({"pbrMetallicRoughness": {"baseColorFactor": [1, 1, 1]}}, "baseColorFactor must be 4 finite numbers; got"),
        (
            {"pbrMetallicRoughness": {"baseColorTexture": {"index": -1}}},
            "index must be an integer of at least 0; got -1.",
        ),
    ],
)
def test_materials_of_wrong_types_are_listed_and_leave_the_mesh(load_gltf, material, reason):
    file = GltfFile(materials=[material])
    mesh = load_gltf(file, file.square(material=0))
    assert len(mesh.faces) == 2
    assert mesh.problems[0].startswith("Material number 0 could not be read: materials[0].pbrMetallicRoughness")
    assert reason in mesh.problems[0]


@pytest.mark.parametrize(
    "name",
    [
        "KHR_materials_unlit",
        "KHR_lights_punctual",
        "KHR_materials_variants",
        "KHR_materials_clearcoat",
        "KHR_xmp_json_ld",
    ],
)
def test_extensions_that_change_nothing_of_what_is_drawn_may_be_required(load_gltf, name):
    file = GltfFile(extensionsRequired=[name], materials=[{"extensions": {name: {}}}])
    mesh = load_gltf(file, file.square(material=0))
    assert mesh.face_colors.tolist() == [[1, 1, 1]] * 2
    assert mesh.problems == ()


def test_other_extensions_that_are_required_are_refused_by_name(load_gltf):
    file = GltfFile(extensionsRequired=["KHR_lights_punctual", "KHR_texture_basisu", "ACME_voxels"])
    names = "ACME_voxels, KHR_texture_basisu"
    with pytest.raises(MeshError, match=rf"a\.glb: it requires the glTF extensions {names}, which cannot be read"):
        load_gltf(file, file.square())
