"""The batched OpenGL renderer: what is special to it. Agreement with other renderers is in tests/conformance."""

import dataclasses
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import ClassVar

import pytest
import torch
from torch import Tensor

import render3d as r3
from render3d import Mesh, Shading
from render3d.errors import CapabilityError, DeviceError, GradientError, GraphicsError, MeshError, ShapeError
from render3d.renderers import EmptyViewWarning, OpenGL
from render3d.renderers.base import SoftwareRenderingWarning, warn_if_software
from render3d.renderers.opengl import atlas, devices, draws
from render3d.renderers.opengl.resources import TextureCache
from render3d.scenes.topology import is_closed

ALL = ("rgb", "alpha", "depth", "normal", "face_index", "barycentric")


def tetrahedron() -> Mesh:
    """Closed, with no symmetry."""
    vertices = torch.tensor([[-0.7, -0.5, 0.4], [0.8, -0.6, 0.3], [0.1, 0.9, 0.2], [0.2, -0.1, -0.8]])
    return Mesh(vertices, torch.tensor([[0, 1, 2], [0, 3, 1], [1, 3, 2], [2, 3, 0]]))


def seamed() -> Mesh:
    """The same with a texture that tears at every edge."""
    texture = r3.Texture(torch.rand(4, 4, 3), torch.rand(12, 2), torch.arange(12).reshape(4, 3))
    return dataclasses.replace(tetrahedron(), texture=texture)


def crumpled(batch: tuple[int, ...], seed: int = 0) -> Mesh:
    """A closed octahedron, subdivided once by hand of noise: it intersects itself and is partly inside out."""
    vertices = torch.tensor([[1.0, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]])
    faces = [[0, 2, 4], [2, 1, 4], [1, 3, 4], [3, 0, 4], [2, 0, 5], [1, 2, 5], [3, 1, 5], [0, 3, 5]]
    noise = torch.randn(*batch, 6, 3, generator=torch.Generator().manual_seed(seed))
    return Mesh(vertices + 0.4 * noise, torch.tensor(faces))


@pytest.fixture
def cameras() -> r3.Cameras:
    """Three views, off-centre and not square."""
    return r3.Cameras.sphere(3, 4.0, image_size=(50, 60)).crop(3, 4, 40, 48)


def same(first: r3.Rendering, second: r3.Rendering) -> bool:
    return all(torch.equal(first.stored(name), second.stored(name)) for name in first.outputs)


def assert_alike(first: r3.Rendering, second: r3.Rendering) -> None:
    """Equal but for the rounding that depends on where in the framebuffer a tile lies."""
    assert torch.equal(first.face_index, second.face_index)
    for name, image in first.as_dict().items():
        torch.testing.assert_close(image, second.as_dict()[name], rtol=2e-3, atol=2e-3, msg=name)


def test_a_batch_equals_a_loop(cameras: r3.Cameras) -> None:
    """[K, B] meshes seen by [B, views] cameras; every image as if rendered alone."""
    meshes, both = crumpled((2, 3)), r3.Cameras.stack([cameras, cameras.crop(0, 0, 40, 48), cameras])
    together = OpenGL()(meshes, both, ALL)
    assert together.leading_shape == (2, 3, 3)
    for k in range(2):
        for b in range(3):
            for view in range(3):
                alone = OpenGL()(meshes[k, b], both[b, view], ALL)
                torch.testing.assert_close(together[k, b, view].depth, alone.depth[0], rtol=1e-4, atol=0)
                assert torch.equal(together[k, b, view].face_index, alone.face_index[0])


def test_each_mesh_by_its_own_camera_and_a_scene_that_differs_per_view(cameras: r3.Cameras) -> None:
    meshes = crumpled((3,))
    own = OpenGL()(meshes, cameras[:, None], ("alpha",))
    assert own.leading_shape == (3, 1)
    crossed = OpenGL()(meshes, cameras, ("alpha",))
    assert crossed.leading_shape == (3, 3)
    for i in range(3):
        assert torch.equal(own.alpha[i, 0], crossed.alpha[i, i])
    per_view = OpenGL()(crumpled((2, 1, 3)), cameras[None, :, None], ("alpha",))
    assert per_view.leading_shape == (2, 1, 3, 1)


def test_a_list_of_meshes_is_one_batch_dimension(cameras: r3.Cameras) -> None:
    colored = dataclasses.replace(tetrahedron(), face_colors=torch.rand(4, 3))
    textured = dataclasses.replace(tetrahedron(), texture=r3.Texture(torch.rand(4, 4, 3), torch.rand(4, 2)))
    scene = [crumpled(()), colored, textured, tetrahedron(), seamed(), colored]
    together = OpenGL()(scene, cameras, ALL)
    assert together.leading_shape == (6, 3)
    for i, mesh in enumerate(scene):
        alone = OpenGL()(mesh, cameras, ALL)
        assert_alike(together[i], alone)


@pytest.mark.parametrize(("module", "name", "limit"), [(atlas, "_MOST_PIXELS", 1), (draws, "_MOST_VERTICES", 40)])
def test_splitting_over_framebuffers_changes_nothing(
    cameras: r3.Cameras, monkeypatch: pytest.MonkeyPatch, module: object, name: str, limit: int
) -> None:
    scene = [crumpled(()), *(tetrahedron() for _ in range(4)), seamed()]
    whole = OpenGL()(scene, cameras, ALL)
    monkeypatch.setattr(module, name, limit)
    assert_alike(OpenGL()(scene, cameras, ALL), whole)


def test_tiles_do_not_bleed(cameras: r3.Cameras) -> None:
    """A mesh far larger than its view, between two small ones."""
    scene = [tetrahedron(), tetrahedron().with_vertices(10 * tetrahedron().vertices + 1), tetrahedron()]
    together = OpenGL()(scene, cameras, ALL)
    for i, mesh in enumerate(scene):
        assert torch.equal(together[i].face_index, OpenGL()(mesh, cameras, ALL).face_index)


def test_dropping_hidden_sides_leaves_silhouettes_as_they_are(cameras: r3.Cameras) -> None:
    """300 crumpled closed surfaces: alpha alone (one side drawn) against alpha beside colour (both drawn)."""
    meshes = crumpled((300,))
    assert is_closed(meshes.faces)
    alone = OpenGL()(meshes, cameras, ("alpha",)).alpha
    assert torch.equal(alone, OpenGL()(meshes, cameras, ("rgb", "alpha")).alpha)
    assert 0.05 < alone.mean() < 0.9


def test_open_surfaces_are_drawn_from_both_sides() -> None:
    quad = Mesh(torch.tensor([[-1.0, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]]), torch.tensor([[0, 1, 2], [0, 2, 3]]))
    assert not is_closed(quad.faces)
    around = r3.Cameras.orbit(2, 4.0, elevation_degrees=0, image_size=(8, 8))
    assert (OpenGL()(quad, around, ("alpha",)).alpha.flatten(1).sum(1) > 10).all()


def test_geometry_outputs_know_each_other(cameras: r3.Cameras) -> None:
    """The point named by face and weights projects to the pixel's centre, at the depth that was read."""
    mesh = tetrahedron()
    for system in (cameras, cameras.to_orthographic(2.5)):
        image = OpenGL()(mesh, system, ALL)
        seen = image.face_index[:, 0] >= 0
        corners = mesh.vertices[mesh.faces[image.face_index[:, 0].clamp(min=0)]]
        points = (corners * image.barycentric.movedim(1, -1)[..., None]).sum(-2)
        y, x = torch.meshgrid(torch.arange(40) + 0.5, torch.arange(48) + 0.5, indexing="ij")
        for view in range(3):
            inside = seen[view]
            pixels = system[view].project(points[view][inside])[0]
            torch.testing.assert_close(pixels, torch.stack([x, y], -1)[inside], atol=5e-3, rtol=0)
            depth = system[view].to_camera_space(points[view][inside])[0, :, 2]
            torch.testing.assert_close(image.depth[view, 0][inside], depth, atol=1e-4, rtol=0)
        assert torch.equal(seen, image.alpha[:, 0] > 0)
        assert (image.depth[:, 0][~seen] == 0).all()
        assert (image.barycentric.sum(1)[~seen] == 0).all()


def test_supersampling_averages_colour_and_coverage_only(cameras: r3.Cameras) -> None:
    fine = cameras.resize(120, 144)
    plain, sampled = OpenGL(), OpenGL(Shading(samples_per_pixel=9))
    image, reference = sampled(tetrahedron(), cameras, ALL), plain(tetrahedron(), fine, ("rgb", "alpha"))
    torch.testing.assert_close(image.alpha, torch.nn.functional.avg_pool2d(reference.alpha, 3))
    torch.testing.assert_close(image.rgb, torch.nn.functional.avg_pool2d(reference.rgb, 3), atol=1e-3, rtol=1e-3)
    assert same(sampled(tetrahedron(), cameras, ALL[2:]), plain(tetrahedron(), cameras, ALL[2:]))
    assert torch.equal(image.depth, plain(tetrahedron(), cameras, ("depth",)).depth)


def test_alpha_alone_stays_in_bytes(cameras: r3.Cameras) -> None:
    image = OpenGL()(tetrahedron(), cameras, ("alpha",))
    assert image.stored("alpha").dtype == torch.uint8
    assert image.alpha.dtype == torch.float32
    assert set(image.alpha.unique().tolist()) == {0.0, 1.0}


def test_a_texture_is_the_right_way_up() -> None:
    """Four texels on a square that fills the view: red and green above, blue and grey below."""
    texels = torch.tensor([[[1.0, 0, 0], [0, 1, 0]], [[0, 0, 1], [0.5, 0.5, 0.5]]])
    vertices = torch.tensor([[-1.0, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]])
    uv = torch.tensor([[0.0, 0], [1, 0], [1, 1], [0, 1]])
    square = Mesh(vertices, torch.tensor([[0, 1, 2], [0, 2, 3]]), texture=r3.Texture(texels, uv))
    camera = r3.Cameras.look_at((0, 0, 3.0), image_size=(40, 40)).to_orthographic(2.0)
    rgb = OpenGL(Shading.unlit())(square, camera, ("rgb",)).rgb[0]
    for row, column, texel in (
        (10, 10, texels[0, 0]),
        (10, 30, texels[0, 1]),
        (30, 10, texels[1, 0]),
        (30, 30, texels[1, 1]),
    ):
        torch.testing.assert_close(rgb[:, row, column], texel, atol=0.06, rtol=0)
    changed = texels.clone()
    square = dataclasses.replace(square, texture=r3.Texture(changed, uv))
    renderer = OpenGL(Shading.unlit())
    before = renderer(square, camera, ("rgb",)).rgb
    changed.mul_(0)
    assert renderer(square, camera, ("rgb",)).rgb.max() == 0 < before.max()


def test_noisy_meshes_share_their_seams(cameras: r3.Cameras) -> None:
    """[K] meshes with one texture: each as if alone, and as if its vertices were split."""
    mesh = seamed()
    noise = 0.05 * torch.randn(3, *mesh.vertices.shape, generator=torch.Generator().manual_seed(0))
    noisy = mesh.with_vertices(mesh.vertices + noise)
    together = OpenGL()(noisy, cameras, ALL)
    assert_alike(together, OpenGL()(noisy.split(), cameras, ALL))
    for k in range(3):
        assert_alike(together[k], OpenGL()(noisy[k], cameras, ALL))


def test_texture_coordinates_that_require_a_gradient_are_refused(cameras: r3.Cameras) -> None:
    texture = r3.Texture(torch.rand(4, 4, 3), torch.rand(4, 2, requires_grad=True))
    textured = dataclasses.replace(tetrahedron(), texture=texture)
    with pytest.raises(GradientError, match=r"^texture.uv require a gradient, and OpenGL gives none by itself"):
        OpenGL()(textured, cameras)
    assert r3.differentiable(OpenGL())(textured, cameras).rgb.requires_grad


def test_the_result_is_on_the_background(cameras: r3.Cameras) -> None:
    image = OpenGL(Shading(background=(0.25, 0.5, 0.75)))(tetrahedron(), cameras, ("rgb", "alpha"))
    outside = image.rgb.movedim(1, -1)[image.alpha[:, 0] == 0]
    torch.testing.assert_close(outside, torch.tensor([0.25, 0.5, 0.75]).expand_as(outside))


# Bad input


def test_black_boxes_refuse_to_drop_gradients(cameras: r3.Cameras) -> None:
    waiting = tetrahedron().with_vertices(tetrahedron().vertices.requires_grad_())
    with pytest.raises(GradientError, match="vertices require a gradient, and OpenGL gives none by itself. Wrap it"):
        OpenGL()(waiting, cameras)
    moved = cameras.retract(torch.zeros(3, 6, requires_grad=True))
    with pytest.raises(GradientError, match="world_to_camera require a gradient"):
        OpenGL()(tetrahedron(), moved)
    with torch.no_grad():
        OpenGL()(waiting, moved)
    OpenGL()(waiting.detach(), cameras)


def broken(vertices: Tensor | None = None, faces: Tensor | None = None) -> Mesh:
    mesh = tetrahedron()
    return Mesh(mesh.vertices if vertices is None else vertices, mesh.faces if faces is None else faces)


@pytest.mark.parametrize(
    ("mesh", "message"),
    [
        (broken(faces=torch.zeros(0, 3, dtype=torch.long)), "has no faces: there is nothing to render"),
        (broken(vertices=torch.full((4, 3), torch.nan)), "vertices must be finite; got NaN or infinite values"),
        (broken(vertices=torch.full((4, 3), torch.inf)), "vertices must be finite"),
        (broken(faces=torch.tensor([[0, 1, 4]])), "faces must index 4 vertices; got indices from 0 to 4"),
        (broken(faces=torch.tensor([[0, 1, -1]])), "got indices from -1 to 1"),
    ],
)
def test_meshes_that_cannot_be_rendered(cameras: r3.Cameras, mesh: Mesh, message: str) -> None:
    with pytest.raises(MeshError, match=message):
        OpenGL()(mesh, cameras)
    OpenGL()(tetrahedron(), cameras)  # nothing is lost by the refusal


def test_scene_and_cameras_on_different_devices(cameras: r3.Cameras) -> None:
    with pytest.raises(DeviceError, match="All must live on one device; got scene on meta, cameras on cpu"):
        OpenGL()(tetrahedron().to("meta"), cameras)


def test_shapes_that_do_not_fit(cameras: r3.Cameras) -> None:
    with pytest.raises(ShapeError, match=r"scene has batch shape \[2\] and cameras has batch shape \[3\]"):
        OpenGL()(crumpled((2,)), cameras[:, None])
    with pytest.raises(ShapeError, match="scene is an empty list"):
        OpenGL()([], cameras)
    with pytest.raises(ShapeError, match="A list of scenes is one batch dimension"):
        OpenGL()([crumpled((2,))], cameras)


def test_outputs_that_do_not_exist(cameras: r3.Cameras) -> None:
    with pytest.raises(CapabilityError, match="outputs may hold rgb, alpha, depth.*got 'mask'"):
        OpenGL()(tetrahedron(), cameras, ("mask",))
    with pytest.raises(CapabilityError, match="outputs must be a tuple of names"):
        OpenGL()(tetrahedron(), cameras, "rgb")
    with pytest.raises(CapabilityError, match=r"has alpha and no 'depth'. Ask for it: .*outputs=\('depth',\)"):
        _ = OpenGL()(tetrahedron(), cameras, ("alpha",)).depth


def test_an_image_too_large(cameras: r3.Cameras) -> None:
    with pytest.raises(GraphicsError, match="image_size .* is 1000000 x 48, and .* renders at most .* Render crops"):
        OpenGL()(tetrahedron(), cameras.resize(1_000_000, 48))


def test_a_view_without_pixels_warns(cameras: r3.Cameras) -> None:
    away = tetrahedron().with_vertices(tetrahedron().vertices + 50)
    with pytest.warns(EmptyViewWarning, match="A view covers no pixel"):
        assert OpenGL()(away, cameras).alpha.max() == 0


def test_software_rendering_for_a_gpu_warns() -> None:
    with pytest.warns(
        SoftwareRenderingWarning, match="OpenGL is llvmpipe .*, which runs on the CPU, although the scene"
    ):
        warn_if_software("llvmpipe (LLVM 15.0.6, 256 bits)", torch.device("cuda", 0))
    warn_if_software("NVIDIA H100", torch.device("cuda", 0))
    warn_if_software("llvmpipe", torch.device("cpu"))


# Contexts


def test_closing_one_renderer_leaves_the_others(cameras: r3.Cameras) -> None:
    with OpenGL() as first, OpenGL() as second:
        before = first(tetrahedron(), cameras)
        second(tetrahedron(), cameras)
        second.close()
        with pytest.raises(GraphicsError, match="This renderer was closed. Make another"):
            second(tetrahedron(), cameras)
        assert same(first(tetrahedron(), cameras), before)
    assert same(OpenGL()(tetrahedron(), cameras), before)
    assert OpenGL().gl_renderer


def test_cuda_devices_are_found_by_their_own_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "cuda_numbers_of_egl_devices", lambda: [1, None, 0, 3])
    assert [devices.egl_device_of_cuda(ordinal) for ordinal in (0, 1, 3)] == [2, 0, 3]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3, 0")
    assert [devices.egl_device_of_cuda(ordinal) for ordinal in (0, 1)] == [3, 2]
    with pytest.raises(GraphicsError, match="No EGL device belongs to CUDA device 2 .*graphics,compute,utility"):
        devices.egl_device_of_cuda(2)


def test_a_device_that_is_not_there() -> None:
    camera, mesh = r3.Cameras.look_at((0, 0, 3.0)), tetrahedron()
    with pytest.raises(GraphicsError, match="No OpenGL 4.3 context could be made through EGL on device 57"):
        OpenGL(egl_device=57)(mesh, camera)


_LOADER = """
import json, torch, render3d as r3
from torch.utils.data import DataLoader, Dataset

class Views(Dataset):
    def __len__(self):
        return 4
    def __getitem__(self, index):
        mesh = r3.Mesh(torch.eye(3) + index / 10, torch.tensor([[0, 1, 2]]))
        return r3.renderers.OpenGL()(mesh, r3.Cameras.look_at((2.0, 2.0, 2.0), image_size=(8, 12)), ("alpha",)).alpha

if __name__ == "__main__":
    here = torch.stack([Views()[i] for i in range(4)])     # the parent renders first
    for context in ("spawn", "fork"):
        loader = DataLoader(Views(), batch_size=2, num_workers=2, multiprocessing_context=context)
        try:
            there = torch.cat(list(loader))
        except Exception as error:
            answer = str(error)
        else:
            answer = "same" if torch.equal(here, there) else "different"
        print(json.dumps([context, answer]))
"""


def test_loaders_that_render(tmp_path) -> None:  # type: ignore[no-untyped-def]
    """Workers that are spawned render the same; forked ones fail at once and say what to do."""
    script = tmp_path / "loader.py"
    script.write_text(_LOADER)
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=120, check=True)
    answers = dict(json.loads(line) for line in done.stdout.splitlines())
    assert answers["spawn"] == "same", done.stdout + done.stderr
    assert 'multiprocessing_context="spawn"' in answers["fork"], done.stdout + done.stderr


def test_the_number_of_torch_threads_is_as_it_was(cameras: r3.Cameras) -> None:
    """After a rendering, after one that fails, and after many at once."""
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        renderer = OpenGL()
        renderer(tetrahedron(), cameras)
        with pytest.raises(MeshError):
            renderer(broken(vertices=torch.full((4, 3), torch.nan)), cameras)
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda _: renderer(tetrahedron(), cameras), range(20)))
            assert set(pool.map(lambda _: torch.get_num_threads(), range(20))) == {3}
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


def test_a_texture_that_is_larger_than_a_driver_takes_is_refused() -> None:
    class SmallDriver:
        info: ClassVar = {"GL_MAX_TEXTURE_SIZE": 4}

    textures = TextureCache(SmallDriver())  # type: ignore[arg-type]
    with pytest.raises(GraphicsError, match=r"shape \[5, 3, 3\], and this OpenGL takes at most 4 pixels along a side"):
        textures.get(torch.zeros(5, 3, 3))
