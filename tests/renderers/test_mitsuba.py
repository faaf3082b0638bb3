"""Mitsuba: gradients against central differences and its own integrator, installations that fail, memory.

Agreement of its images with the reference is in tests/conformance.
"""

import dataclasses
import gc
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from torch import Tensor

from render3d import Cameras, Mesh, Shading, Texture
from render3d.conventions import to_mitsuba
from render3d.errors import RendererError
from render3d.optional import MITSUBA
from render3d.renderers import Mitsuba, OpenGL
from render3d.renderers.mitsuba import variants
from render3d.renderers.mitsuba.edges import Edges
from render3d.renderers.mitsuba.tracer import Tracer, shared_tracer
from render3d.testing.deformations import DeformationProblem, partly_flipped, pebble, smooth_fields, with_junctions
from render3d.testing.reference import NumpyRenderer
from render3d.testing.scenes import asymmetric_mesh, torus, uneven_cameras

installed = pytest.mark.skipif(not MITSUBA.is_installed, reason="Mitsuba is not installed: pip install mitsuba")


def has_llvm() -> bool:
    try:
        variants.usable_llvm()
    except RendererError:
        return False
    return MITSUBA.is_installed


with_llvm = pytest.mark.skipif(not has_llvm(), reason="no LLVM that Mitsuba can use: apt install libllvm19")


@pytest.fixture(autouse=True)
def _ask_anew() -> Iterator[None]:
    """What is known of LLVM is kept for the process; tests pretend."""
    variants._usable_llvm.cache_clear()
    yield
    variants._usable_llvm.cache_clear()


# Gradients


def weights(channels: int, size: tuple[int, int]) -> Tensor:
    """Smooth weights ``[C, H, W]``, other ones for each channel."""
    y, x = torch.linspace(0, 1, size[0])[:, None], torch.linspace(0, 1, size[1])
    return torch.stack([torch.sin(3 * x + 2 * y + k) + 0.5 * torch.cos(5 * y - 4 * x + 2 * k) for k in range(channels)])


Motion = Callable[[float], tuple[Mesh, Cameras]]


def motions(mesh: Mesh, cameras: Cameras) -> dict[str, Motion]:
    """A scene that is moved along one parameter, by name."""
    turn = torch.tensor([[0.0, 0.6, 0.8], [-0.6, 0, 0], [-0.8, 0, 0]])
    directions = {
        "right": torch.tensor([1.0, 0, 0]).expand_as(mesh.vertices),
        "up": torch.tensor([0.0, 1, 0]).expand_as(mesh.vertices),
        "near": torch.tensor([0.0, 0, 1]).expand_as(mesh.vertices),
        "scale": mesh.vertices,
        "turn": mesh.vertices @ turn.T,
    }
    found: dict[str, Motion] = {
        name: lambda t, d=direction: (mesh.with_vertices(mesh.vertices + t * d), cameras)  # type: ignore[misc]
        for name, direction in directions.items()
    }
    twist = torch.tensor([0.3, -0.5, 0.4, 0.2, 0.3, -0.6])
    found["pose"] = lambda t: (mesh, cameras.retract((t * twist).expand(cameras.views, 6)))
    zoom = torch.tensor([[0.4, 0, 3.0], [0, 0.7, -5.0], [0, 0, 0]]) * torch.tensor([[60.0], [60.0], [1.0]])
    zoom[:2, 2] /= 60
    found["intrinsics"] = lambda t: (mesh, dataclasses.replace(cameras, intrinsics=cameras.intrinsics + t * zoom))
    return found


def slopes(mesh: Mesh, cameras: Cameras, shading: Shading, output: str) -> tuple[dict[str, float], dict[str, float]]:
    """The derivative of a weighted sum of an image along each motion: found, and by central differences of OpenGL."""
    truth = OpenGL(dataclasses.replace(shading, samples_per_pixel=256))
    mine = Mitsuba(dataclasses.replace(shading, samples_per_pixel=16 if output == "rgb" else 1))
    weight = weights({"rgb": 3, "alpha": 1}[output], cameras.image_size)

    def measured(renderer: Any, scene: tuple[Mesh, Cameras]) -> Tensor:
        image: Tensor = renderer(*scene, (output,)).as_dict()[output]
        return (image.double() * weight).sum()

    moves, step = motions(mesh, cameras), 5e-3
    t: Any = torch.zeros(len(moves), requires_grad=True)
    (slope,) = torch.autograd.grad(measured(mine, together(mesh, cameras, moves, t)), t)
    expected = {
        name: float(measured(truth, motion(step)) - measured(truth, motion(-step))) / (2 * step)
        for name, motion in moves.items()
    }
    return dict(zip(moves, slope.tolist(), strict=True)), expected


def together(mesh: Mesh, cameras: Cameras, moves: dict[str, Motion], t: Tensor) -> tuple[Mesh, Cameras]:
    """The scene after all motions, to first order: its slope in each number of ``t`` at zero is that of one motion."""
    scenes = [motion(amount) for motion, amount in zip(moves.values(), t, strict=True)]  # type: ignore[arg-type]
    vertices, pose, intrinsics = mesh.vertices, cameras.world_to_camera, cameras.intrinsics
    for moved, seen in scenes:
        vertices = vertices + (moved.vertices - mesh.vertices)
        pose = pose + (seen.world_to_camera - cameras.world_to_camera)
        intrinsics = intrinsics + (seen.intrinsics - cameras.intrinsics)
    return mesh.with_vertices(vertices), dataclasses.replace(cameras, world_to_camera=pose, intrinsics=intrinsics)


def assert_slopes_agree(found: dict[str, float], expected: dict[str, float], tolerance: float) -> None:
    """Within a share of the steepest: a slope near zero is a difference of large parts."""
    steepest = max(abs(value) for value in expected.values())
    for name in expected:
        assert abs(found[name] - expected[name]) <= tolerance * steepest, (name, found, expected)


@with_llvm
@pytest.mark.parametrize("cull", ["none", "back"])
def test_silhouettes_move(cull: Any) -> None:
    """2 % of the steepest slope; 96 x 160 pixels that are not square, principal points off the centre."""
    found, expected = slopes(asymmetric_mesh(), uneven_cameras("perspective"), Shading(cull=cull), "alpha")
    assert_slopes_agree(found, expected, 0.02)


@with_llvm
def test_silhouettes_move_without_perspective() -> None:
    """Rolled, lest edges run along the grid of samples of the reference."""
    cameras = uneven_cameras("orthographic").retract(torch.tensor([0.0, 0, 0, 0, 0, 0.3]).expand(4, 6))
    assert_slopes_agree(*slopes(asymmetric_mesh(), cameras, Shading(), "alpha"), 0.02)


@with_llvm
@pytest.mark.parametrize(
    ("coloring", "normals"), [("vertices", "flat"), ("faces", "smooth"), ("texture", "smooth"), ("seams", "smooth")]
)
def test_shaded_images_move(coloring: str, normals: Any) -> None:
    """Silhouettes, creases and what lies between, with a part of the ring in front of another: 3 %."""
    ring, random = torus(16, 8), torch.Generator().manual_seed(0)
    count = len(ring.vertices)
    if coloring == "vertices":
        ring = dataclasses.replace(ring, colors=torch.rand(count, 3, generator=random))
    elif coloring == "faces":
        ring = dataclasses.replace(ring, face_colors=torch.rand(len(ring.faces), 3, generator=random))
    else:
        uv, image = 0.4 + 0.3 * ring.vertices[:, :2], torch.rand(6, 5, 3, generator=random)
        half = (torch.arange(len(ring.faces)) % 32 < 16).long()[:, None]  # on which the texture is moved
        texture = Texture(image, torch.cat([uv, uv + 0.4]), ring.faces + count * half)
        ring = dataclasses.replace(ring, texture=texture if coloring == "seams" else Texture(image, uv))
    cameras = uneven_cameras("perspective")[1:3]
    assert_slopes_agree(*slopes(ring, cameras, Shading(normals=normals), "rgb"), 0.03)


@with_llvm
def test_open_surfaces_seen_from_both_sides_move() -> None:
    """Two sheets, the nearer one a part of the other's background; their backs and rims count."""
    vertices = torch.tensor([[-0.8, -0.7, 0], [0.9, -0.6, 0.1], [0.7, 0.8, 0], [-0.6, 0.7, 0.2]])
    sheets = torch.cat([vertices, 0.5 * vertices + torch.tensor([0.3, 0.1, 0.6])])
    faces = torch.tensor([[0, 1, 2], [0, 2, 3], [4, 6, 5], [4, 7, 6]])
    mesh = Mesh(sheets, faces, face_colors=torch.rand(4, 3, generator=torch.Generator().manual_seed(1)))
    cameras = Cameras.look_at([[0.5, 0.4, 2.8], [-0.7, 0.5, -2.6]], image_size=(60, 100))  # type: ignore[list-item]
    for output in ("alpha", "rgb"):
        assert_slopes_agree(*slopes(mesh, cameras, Shading(), output), 0.03)


@with_llvm
def test_vertices_that_are_split_count_once() -> None:
    """A mesh whose faces share no vertices moves as the same mesh whose faces do."""
    mesh, cameras = asymmetric_mesh(), uneven_cameras("perspective")[:2]
    split = Mesh(mesh.vertices[mesh.faces].reshape(-1, 3), torch.arange(108).reshape(-1, 3))
    sums = []
    for shape in (mesh.without_colors(), split):
        vertices = shape.vertices.clone().requires_grad_()
        image = Mitsuba()(shape.with_vertices(vertices), cameras, ("rgb",)).rgb
        (image * weights(3, cameras.image_size)).sum().backward()
        assert vertices.grad is not None
        sums.append(vertices.grad.sum(0))
    torch.testing.assert_close(sums[0], sums[1], rtol=2e-3, atol=0.5)


@with_llvm
@pytest.mark.parametrize("projection", ["perspective", "orthographic"])
@pytest.mark.parametrize("output", ["depth", "normal", "barycentric"])
def test_what_a_pixel_shows_moves(projection: Any, output: str) -> None:
    """Away from edges, in float64 of the reference: 1 % of the largest slope of a pixel, at all but 2 % of them."""
    mesh, cameras, step = torus(12, 8), uneven_cameras(projection)[1:2], 1e-4
    shading = Shading(normals="smooth")
    t: Any = torch.zeros((), requires_grad=True)
    outputs = (output, "face_index")

    def scene(t: Any) -> tuple[Mesh, Cameras]:
        twist = torch.tensor([0.3, -0.5, 0.4, 0.2, 0.3, -0.6], dtype=torch.float64)
        moved = mesh.with_vertices(mesh.vertices.double() * (1 + 0.3 * t))
        exact = dataclasses.replace(
            cameras,
            world_to_camera=cameras.world_to_camera.double(),
            intrinsics=cameras.intrinsics.double(),
        )
        return moved, exact.retract((t * twist)[None])

    image = Mitsuba(shading).draw(*scene(t), (output,))[output].double()
    found = torch.stack(  # forward mode by two passes of reverse mode: the slope of every pixel
        [torch.autograd.grad(image.flatten()[k], t, retain_graph=True)[0] for k in range(0, image.numel(), 97)]
    )
    ends = [NumpyRenderer(shading).draw(*scene(torch.tensor(s * step)), outputs) for s in (-1, 1)]
    same = (ends[0]["face_index"] == ends[1]["face_index"]).expand_as(image).flatten()[::97]
    expected = ((ends[1][output] - ends[0][output]) / (2 * step)).flatten()[::97]
    apart = (found - expected).abs()[same] > 0.01 * expected.abs().max()
    assert expected.abs().max() > 0.1
    assert float(apart.double().mean()) < 0.02


@with_llvm
def test_colours_have_the_gradient_of_a_linear_image() -> None:
    """``rgb`` is linear in the colours: the gradient is exact for any step."""
    mesh, cameras = asymmetric_mesh(), uneven_cameras("perspective")
    assert mesh.colors is not None
    colors = mesh.colors.clone().requires_grad_()
    image = Mitsuba()(dataclasses.replace(mesh, colors=colors), cameras, ("rgb",)).rgb
    weight = weights(3, cameras.image_size)
    (slope,) = torch.autograd.grad((image * weight).sum(), colors)
    step = torch.rand(colors.shape, generator=torch.Generator().manual_seed(0))
    moved = Mitsuba()(dataclasses.replace(mesh, colors=mesh.colors + step), cameras, ("rgb",)).rgb
    torch.testing.assert_close((slope * step).sum(), ((moved - image.detach()) * weight).sum(), rtol=1e-4, atol=0)


@with_llvm
def test_coverage_moves_as_mitsubas_own_projective_integrator_says() -> None:
    """Vertex by vertex, within 5 % of the norm, and they are random; a shape that emits 1 shows its coverage."""
    cameras = Cameras.look_at([1.5, 1.1, 2.4], image_size=(48, 80), vertical_fov_degrees=40.0)
    shift = torch.tensor([[0.0, 0, 4.5], [0, 0, -2.5], [0, 0, 0]])
    cameras = dataclasses.replace(cameras, intrinsics=cameras.intrinsics + shift)
    mesh, weight = asymmetric_mesh(), weights(1, (48, 80))
    vertices = mesh.vertices.clone().requires_grad_()
    image = Mitsuba()(mesh.with_vertices(vertices), cameras, ("alpha",)).alpha
    (slope,) = torch.autograd.grad((image * weight).sum(), vertices)
    theirs = slope_by_projection(mesh, cameras, weight)
    assert float((slope - theirs).norm() / theirs.norm()) < 0.05


def slope_by_projection(mesh: Mesh, cameras: Cameras, weight: Tensor) -> Tensor:
    """``[V, 3]``: by ``direct_projective``, of a scene made by its ``load_dict``."""
    import drjit

    sensor, (height, width) = to_mitsuba(cameras), cameras.image_size
    assert sensor.fov is not None
    with variants.active("llvm_ad_rgb") as mi:
        properties = mi.Properties()
        properties["emitter"] = mi.load_dict({"type": "area", "radiance": {"type": "rgb", "value": 1.0}})
        shape = mi.Mesh("shape", len(mesh.vertices), len(mesh.faces), properties)
        parameters = mi.traverse(shape)
        parameters["faces"] = mi.UInt(mesh.faces.reshape(-1).to(torch.int32).view(torch.uint32))
        parameters["vertex_positions"] = mi.Float(mesh.vertices.reshape(-1))
        parameters.update()
        film = {"type": "hdrfilm", "width": width, "height": height, "sample_border": True, "rfilter": {"type": "box"}}
        scene = mi.load_dict(
            {
                "type": "scene",
                "shape": shape,
                "integrator": {"type": "direct_projective", "sppc": 0, "sppp": 512, "sppi": 0},
                "sensor": {
                    "type": "perspective",
                    "to_world": mi.ScalarTransform4f(sensor.to_world[0].numpy()),
                    "fov": float(sensor.fov[0]),
                    "fov_axis": "x",
                    "principal_point_offset_x": float(sensor.principal_point_offset_x[0]),
                    "principal_point_offset_y": float(sensor.principal_point_offset_y[0]),
                    "film": film,
                },
            }
        )
        parameters = mi.traverse(scene)
        drjit.enable_grad(parameters["shape.vertex_positions"])
        parameters.update()
        image = mi.render(scene, parameters, seed=0, spp=64)
        drjit.backward(drjit.sum(image[:, :, 0] * mi.TensorXf(weight[0].contiguous()), axis=None))
        slope: Tensor = drjit.grad(parameters["shape.vertex_positions"]).torch().reshape(-1, 3)
    return slope


# Variants


@installed
def test_the_scalar_variant_gives_the_same_images_and_gradients() -> None:
    cameras = uneven_cameras("perspective")[:1].resize(24, 40)
    found = []
    for variant in ("scalar_rgb", "llvm_ad_rgb" if has_llvm() else "scalar_rgb"):
        vertices = asymmetric_mesh().vertices.clone().requires_grad_()
        image = Mitsuba(variant=variant)(asymmetric_mesh().with_vertices(vertices), cameras, ("rgb",)).rgb
        (slope,) = torch.autograd.grad((image * weights(3, (24, 40))).sum(), vertices)
        found.append((image.detach(), slope))
    torch.testing.assert_close(found[0][0], found[1][0], rtol=0, atol=1e-4)
    torch.testing.assert_close(found[0][1], found[1][1], rtol=1e-2, atol=0.05)


@installed
def test_the_variant_that_was_current_stays_so() -> None:
    code = (
        "import mitsuba, torch, render3d as r3\n"
        "mitsuba.set_variant('scalar_rgb')\n"
        "box, cameras = r3.Mesh.icosphere(1), r3.Cameras.look_at((0.0, 0.0, 3.0), image_size=(8, 8))\n"
        "for _ in range(2):\n"
        "    print(float(r3.renderers.Mitsuba()(box, cameras).alpha.sum()) > 0, mitsuba.variant())\n"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.split() == ["True", "scalar_rgb"] * 2


def test_bad_settings_are_named() -> None:
    wrong: Any = "llvm"
    with pytest.raises(ValueError, match="variant must be None.*llvm_ad_rgb, cuda_ad_rgb, scalar_rgb; got 'llvm'"):
        Mitsuba(variant=wrong)
    with pytest.raises(ValueError, match="samples must be at least 1; got 0"):
        Mitsuba(samples=0)


# Installations


def render_in_another_process(folder: Path, **environment: str) -> str:
    """What the error of a first call says, in a process that finds modules in ``folder`` first."""
    code = (
        "import render3d as r3\n"
        "assert r3.renderers.Mitsuba().capabilities.outputs\n"
        "try:\n"
        "    r3.renderers.Mitsuba(variant='llvm_ad_rgb')(r3.Mesh.icosphere(1), r3.Cameras.look_at((0.0, 0.0, 3.0)))\n"
        "except r3.errors.RendererError as error:\n"
        "    print(error)\n"
    )
    path = os.pathsep.join([str(folder), *(entry for entry in sys.path if entry)])
    settings = {**os.environ, "PYTHONPATH": path, **environment}
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=settings).stdout


def test_one_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setattr(variants, "choose", lambda variant, device: "scalar_rgb")
    with pytest.raises(RendererError, match=r"^Mitsuba is not installed\. .*pip install 'render3d\[mitsuba\]'"):
        Tracer("scalar_rgb")


def test_one_that_raises_on_import(tmp_path: Path) -> None:
    (tmp_path / "mitsuba.py").write_text("raise ImportError('incompatible version of drjit')")
    told = render_in_another_process(tmp_path)
    assert told.startswith("Mitsuba is installed, but cannot be imported (ImportError: incompatible version of drjit)")


def test_one_whose_compiled_part_is_missing(tmp_path: Path) -> None:
    (tmp_path / "mitsuba").mkdir()
    (tmp_path / "mitsuba" / "__init__.py").write_text("")
    assert "its variant scalar_rgb cannot be used (No module named 'mitsuba.scalar_rgb')" in (
        subprocess.run(
            [sys.executable, "-c", "import render3d.renderers.mitsuba.variants as v; v.load('scalar_rgb')"],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *(p for p in sys.path if p)])},
        ).stderr
    )


@installed
@pytest.mark.parametrize("library", ["libc.so.6", "no_such_library.so"])
def test_an_llvm_that_would_end_the_process_is_found_out_first(tmp_path: Path, library: str) -> None:
    """The C library stands for an LLVM that is too old: it, too, has no function that tells its version."""
    told = render_in_another_process(tmp_path, DRJIT_LIBLLVM_PATH=library)
    why = {"libc.so.6": "LLVM 15 or older", "no_such_library.so": "no library that can be loaded"}[library]
    assert f"DRJIT_LIBLLVM_PATH names: {library} is {why}. Install one" in told
    assert "apt install libllvm19" in told


def test_the_newest_llvm_that_can_be_used_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DRJIT_LIBLLVM_PATH", raising=False)
    there = {"libLLVM-20-broken.so": 0, "libLLVM.so.19.1": 19, "libLLVM-18.so": 18, "libLLVM-15.so.1": 15}
    monkeypatch.setattr(variants, "_installed_llvm", lambda: list(there))
    monkeypatch.setattr(variants, "_llvm_version", there.__getitem__)
    assert variants.usable_llvm() == "libLLVM.so.19.1"
    assert variants.choose(None, torch.device("cpu")) == "llvm_ad_rgb"


def test_without_a_usable_llvm_the_scalar_variant_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DRJIT_LIBLLVM_PATH", raising=False)
    monkeypatch.setattr(variants, "_installed_llvm", lambda: ["libLLVM-15.so.1", "libLLVM-14.so.1"])
    monkeypatch.setattr(variants, "_llvm_version", lambda path: 15)
    assert variants.choose(None, torch.device("cpu")) == "scalar_rgb"
    assert variants.choose(None, torch.device("cuda")) == "cuda_ad_rgb"
    with pytest.raises(RendererError, match="libLLVM-15.so.1 is LLVM 15 or older; libLLVM-14.so.1 is LLVM 15 or older"):
        variants.usable_llvm()


@installed
@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there() -> None:
    with pytest.raises(RendererError, match="cuda_ad_rgb cannot be used .* needs an NVIDIA GPU .*with OptiX"):
        Mitsuba(variant="cuda_ad_rgb")(Mesh.icosphere(1), Cameras.look_at((0.0, 0.0, 3.0)))


# Scenes that change


@installed
@pytest.mark.parametrize("variant", ["llvm_ad_rgb", "scalar_rgb"])
def test_memory_stays_flat_while_meshes_change(variant: variants.Variant) -> None:
    """600 fillings by 30 topologies: less than 1 % growth after the first 200."""
    if variant == "llvm_ad_rgb" and not has_llvm():
        pytest.skip("no LLVM that Mitsuba can use")
    process, generator = psutil.Process(), torch.Generator().manual_seed(0)
    scenes = [
        (torch.randn(9 * n, 3, generator=generator), torch.randint(9 * n, (20 * n, 3), generator=generator))
        for n in range(1, 31)
    ]
    origins, directions = torch.zeros(50, 3), torch.nn.functional.normalize(torch.randn(50, 3, generator=generator))
    before, hits = 0, 0
    for number in range(600):
        with shared_tracer(variant).sees(*scenes[number % 30]) as tracer:
            hits += int((tracer.cast(origins, directions, torch.full((50,), 9.0))[0] >= 0).sum())
        if number == 200:
            gc.collect()
            before = process.memory_info().rss
    gc.collect()
    assert hits > 1_000
    assert process.memory_info().rss < 1.01 * before


@installed
@pytest.mark.parametrize("name", ["vertex_positions", "positions"])
def test_both_names_of_the_positions_are_known(name: str) -> None:
    """Up to 3.9 they are one flat array, and from 3.10 on a tensor of rows."""

    class FlatArray(list[float]):
        def __init__(self, values: Tensor) -> None:
            super().__init__(values.flatten().tolist())
            self.shape = values.shape

    class TensorXf(FlatArray):
        pass

    class Parameters(dict[str, FlatArray]):
        def update(self) -> None:  # type: ignore[override]
            pass

    tracer = Tracer("llvm_ad_rgb" if has_llvm() else "scalar_rgb")
    kind = TensorXf if name == "positions" else FlatArray
    empty = torch.zeros(0, 3)
    tracer._scalar, tracer._parameters = False, Parameters({f"mesh.{name}": kind(empty), "mesh.faces": kind(empty)})
    tracer.fill(torch.rand(4, 3), torch.tensor([[0, 1, 2], [0, 2, 3]]))
    rows = name == "positions"
    assert tracer._parameters[f"mesh.{name}"].shape == ((4, 3) if rows else (12,))
    assert tracer._parameters["mesh.faces"].shape == ((2, 3) if rows else (6,))


def test_edges_in_the_same_place_share() -> None:
    """Two triangles with a common side: five edges of one mesh, six of the same one with split vertices."""
    corners = torch.tensor([[0.0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]])
    faces = torch.tensor([[0, 1, 2], [0, 2, 3]])
    joined, split = (
        Edges.of(Mesh(corners, faces)),
        Edges.of(Mesh(corners[faces].reshape(-1, 3), torch.arange(6).reshape(2, 3))),
    )
    assert sorted(joined.share.tolist()) == [1.0] * 5
    assert sorted(split.share.tolist()) == [0.5, 0.5, 1, 1, 1, 1]
    for edges in (joined, split):
        front, seen, flat = torch.ones(2), torch.tensor([0, 1]), torch.zeros(5, dtype=torch.bool)
        rim, crease = edges.outlines(flat), edges.creases(flat, front, seen)
        assert float(edges.share[rim].sum()) == 4.0
        assert float(edges.share[crease].sum()) == 1.0
        assert not bool((rim & crease).any())
        assert bool(edges.outlines(~flat).all())
        assert edges.at(crease.nonzero()[:1, 0].expand(3), torch.tensor([0, 1, -1])).tolist() == [True, True, False]


@installed
@pytest.mark.parametrize("broken", [partly_flipped, with_junctions])
def test_edges_are_found_whichever_way_faces_are_wound(broken: Callable[[Mesh], Mesh]) -> None:
    """And where a vertex of two faces lies on the side of a third."""
    mesh = broken(Mesh(pebble().vertices, pebble().faces))
    cameras = Cameras.sphere(2, 3.0, vertical_fov_degrees=46.0, image_size=(48, 48))
    problem = DeformationProblem(mesh=mesh, cameras=cameras)
    assert problem.error(Mitsuba(), smooth_fields(mesh.vertices, 6)) < 0.06
