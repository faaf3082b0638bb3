"""Exact gradients of colours: what is shaded in torch is what the black box shows, and linear in the colours."""

import dataclasses
from typing import Any, Literal

import pytest
import torch
from torch import Tensor

from render3d import Cameras, Mesh, Shading, Texture
from render3d.errors import CapabilityError, GradientError
from render3d.renderers import DeferredShading, OpenGL, Renderer
from render3d.testing.only_images import OnlyImages
from render3d.testing.reference import NumpyRenderer
from render3d.testing.scenes import asymmetric_mesh, uneven_cameras

KINDS = ("colors", "face_colors", "texture", "seams")


def values_of(kind: str, seed: int = 0) -> Tensor:
    """Colours for the asymmetric mesh, 0-1."""
    shape = {"colors": (24, 3), "face_colors": (36, 3), "texture": (5, 7, 3), "seams": (5, 7, 3)}[kind]
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def corners() -> Tensor:
    """Which of 24 coordinates each corner takes, so that most edges are seams."""
    return torch.randint(24, (36, 3), generator=torch.Generator().manual_seed(6))


def painted(values: Tensor, kind: str, mesh: Mesh | None = None) -> Mesh:
    uv = torch.rand(24, 2, generator=torch.Generator().manual_seed(9)) * 2 - 0.5  # a texture that repeats
    textures = {"texture": Texture(values, uv), "seams": Texture(values, uv, corners())} if values.dim() == 3 else {}
    changes: dict[str, Any] = {"texture": textures[kind]} if kind in textures else {kind: values}
    return dataclasses.replace((mesh or asymmetric_mesh()).without_colors(), **changes)


@pytest.mark.parametrize("kind", [*KINDS, "grey"])
@pytest.mark.parametrize("normals", ["flat", "smooth"])
@pytest.mark.parametrize("samples", [1, 4])
def test_it_shows_what_the_black_box_shows(kind: str, normals: Literal["flat", "smooth"], samples: int) -> None:
    """To the rounding of half floats and, for textures, of a rasteriser's filter."""
    shading = Shading(normals=normals, samples_per_pixel=samples, background=(0.1, 0.7, 0.4))
    mesh = asymmetric_mesh().without_colors() if kind == "grey" else painted(values_of(kind), kind)
    cameras, black_box = uneven_cameras("perspective"), OpenGL(shading)
    expected = black_box(mesh, cameras, ("rgb", "alpha", "face_index"))
    found = DeferredShading(black_box)(mesh, cameras, ("face_index", "rgb", "alpha"))
    assert found.outputs == ("face_index", "rgb", "alpha")
    assert torch.equal(found.face_index, expected.face_index)
    assert torch.equal(found.alpha, expected.alpha)
    torch.testing.assert_close(found.rgb, expected.rgb, rtol=0, atol=8e-3 if kind in ("texture", "seams") else 1.5e-3)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("samples", [1, 4])
@pytest.mark.parametrize("make", [NumpyRenderer, OpenGL])
def test_gradients_are_the_difference_quotients_of_the_black_box(kind: str, samples: int, make: Any) -> None:
    """The picture is linear in the colours, so a step of any size gives the derivative."""
    black_box = make(Shading(samples_per_pixel=samples, normals="smooth"))
    cameras = uneven_cameras("perspective")[:2].resize(18, 30)
    values = values_of(kind).requires_grad_()
    cotangent = torch.randn(2, 3, 18, 30, generator=torch.Generator().manual_seed(1))
    rgb = DeferredShading(black_box)(painted(values, kind), cameras, ("rgb",)).rgb
    (gradient,) = torch.autograd.grad((rgb * cotangent).sum(), values)
    step = gradient / gradient.abs().max()
    with torch.no_grad():
        after, before = (black_box(painted(v, kind), cameras, ("rgb",)).rgb for v in (values + step, values - step))
    quotient = ((after - before) / 2 * cotangent).sum()
    tolerance = 1e-5 if make is NumpyRenderer else 5e-3  # float32; half floats
    torch.testing.assert_close((gradient * step).sum(), quotient, rtol=tolerance, atol=0)


@pytest.mark.parametrize("kind", ["colors", "face_colors"])
def test_every_element_of_a_batch_has_its_own_colours(kind: str) -> None:
    mesh, cameras = asymmetric_mesh(), Cameras.sphere(4, 3.0, image_size=(12, 20))
    cameras = Cameras.stack([cameras[:2], cameras[2:]])
    meshes = [
        painted(values_of(kind, seed), kind, mesh.with_vertices(mesh.vertices * (1 - 0.2 * seed))) for seed in (0, 1)
    ]
    batch, renderer = Mesh.stack(meshes), DeferredShading(OpenGL())
    noisy = batch.with_vertices(torch.stack([batch.vertices, batch.vertices * 0.8, batch.vertices * 1.1]))
    together, listed = renderer(noisy, cameras, ("rgb",)).rgb, renderer(meshes, cameras, ("rgb",)).rgb
    for b in range(2):
        torch.testing.assert_close(listed[b], renderer(meshes[b], cameras[b], ("rgb",)).rgb, rtol=0, atol=2e-3)
        for k in range(3):
            alone = renderer(noisy[k, b], cameras[b], ("rgb",)).rgb
            torch.testing.assert_close(together[k, b], alone, rtol=0, atol=2e-3)


@pytest.mark.parametrize("faces", [None, corners()], ids=["vertices", "corners"])
def test_texture_coordinates_have_gradients(faces: Tensor | None) -> None:
    """By central differences of float64 where no texel's border is near."""
    from render3d.renderers.deferred import shade

    mesh, cameras = asymmetric_mesh().without_colors(), uneven_cameras("perspective").resize(9, 12)
    seen = OpenGL()(mesh, cameras, ("face_index", "barycentric", "normal"))
    uv = torch.rand(24, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(4))

    def rgb(coordinates: Tensor) -> Tensor:
        textured = dataclasses.replace(mesh, texture=Texture(values_of("texture").double(), coordinates, faces))
        return shade(textured, seen.face_index, seen.barycentric.double(), seen.normal.double(), Shading())

    assert torch.autograd.gradcheck(rgb, uv.requires_grad_(), fast_mode=True)


def test_what_is_kept_for_the_backward_pass_is_a_few_numbers_a_covered_pixel() -> None:
    mesh, cameras = Mesh.icosphere(3), Cameras.sphere(2, 6.0, image_size=(100, 140))
    covered = float(OpenGL()(mesh, cameras, ("alpha",)).alpha.sum())
    assert covered < 0.3 * 2 * 100 * 140
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    colors = torch.rand(642, 3, requires_grad=True)
    colored = dataclasses.replace(mesh, colors=colors)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        DeferredShading(OpenGL())(colored, cameras, ("rgb",)).rgb.sum().backward()
    pixels_themselves = 2 * 100 * 140  # a mask of one byte each
    assert sum(kept.values()) < 100 * covered + pixels_themselves + 1e5


def test_nothing_in_the_picture_is_the_background() -> None:
    away = asymmetric_mesh().with_vertices(asymmetric_mesh().vertices + 1000)
    for kind in KINDS:
        values = values_of(kind).requires_grad_()
        rgb = DeferredShading(OpenGL())(painted(values, kind, away), uneven_cameras("perspective"), ("rgb",)).rgb
        assert bool((rgb == 1).all())
        assert bool((torch.autograd.grad(rgb.sum(), values)[0] == 0).all())


def test_what_has_no_gradient_is_refused() -> None:
    mesh, cameras, renderer = asymmetric_mesh(), uneven_cameras("perspective"), DeferredShading(OpenGL())
    moving = mesh.with_vertices(mesh.vertices.clone().requires_grad_())
    with pytest.raises(GradientError, match=r"vertices require a gradient.*Use render3d.estimators.Smoothed\(OpenGL"):
        renderer(moving, cameras)
    with pytest.raises(GradientError, match="vertices require a gradient"):
        renderer([mesh, moving], cameras[:1])
    with pytest.raises(GradientError, match="world_to_camera and intrinsics require a gradient"):
        renderer(
            mesh,
            dataclasses.replace(
                cameras.retract(torch.zeros(4, 6, requires_grad=True)),
                intrinsics=cameras.intrinsics.clone().requires_grad_(),
            ),
        )
    assert renderer.capabilities.gradients == {"colors", "lights"}


def test_a_black_box_that_does_not_tell_faces_is_refused() -> None:
    with pytest.raises(
        CapabilityError, match="OnlyImages has no face_index and no barycentric and no normal. Use OpenGL"
    ):
        DeferredShading(OnlyImages(OpenGL()))

    class Unshaded:
        capabilities = OpenGL().capabilities

        def __call__(self, *arguments: Any, **options: Any) -> Any:
            raise AssertionError

    unshaded: Renderer = Unshaded()
    with pytest.raises(CapabilityError, match="has no shading"):
        DeferredShading(unshaded)
