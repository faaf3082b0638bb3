"""Pyrender: its known faults, mended. Agreement with other renderers is in tests/conformance."""

import gc
import subprocess
import sys
from pathlib import Path

import moderngl
import psutil
import pytest
import torch

import render3d as r3
from render3d import Mesh, Shading
from render3d.errors import GraphicsError
from render3d.renderers import DirectionalLight, OpenGL, Pyrender
from render3d.renderers import pyrender as adapter
from render3d.testing.reference import NumpyRenderer
from render3d.testing.scenes import asymmetric_mesh, uneven_cameras


@pytest.fixture
def cameras() -> r3.Cameras:
    return uneven_cameras("perspective")[:2].resize(24, 40)


def test_two_renderers_of_different_libraries_take_turns(cameras: r3.Cameras) -> None:
    """Each makes its own context current and gives back the other's."""
    gl, pyrender = OpenGL(), Pyrender()
    first = gl(asymmetric_mesh(), cameras, ("alpha", "depth"))
    for number in range(20):
        size = cameras.resize(24 + number, 40)
        other = pyrender(asymmetric_mesh(), size, ("alpha",))
        assert other.image_size == (24 + number, 40)
        again = gl(asymmetric_mesh(), cameras, ("alpha", "depth"))
        assert torch.equal(again.alpha, first.alpha)
        assert torch.equal(again.depth, first.depth)


def test_closing_one_leaves_its_siblings_alive(cameras: r3.Cameras) -> None:
    """Pyrender itself terminates the EGL display, and with it every context of the process."""
    gl, kept = OpenGL(), Pyrender()
    before = kept(asymmetric_mesh(), cameras)
    with Pyrender() as passing:
        passing(asymmetric_mesh(), cameras)
    with pytest.raises(GraphicsError, match="This renderer was closed. Make another"):
        passing(asymmetric_mesh(), cameras)
    torch.testing.assert_close(kept(asymmetric_mesh(), cameras).rgb, before.rgb)
    kept.close()
    assert not adapter._contexts  # the last one has let go
    assert gl(asymmetric_mesh(), cameras).alpha.any()
    torch.testing.assert_close(Pyrender()(asymmetric_mesh(), cameras).rgb, before.rgb)


def test_the_callers_own_context_stays_current(cameras: r3.Cameras) -> None:
    renderer = Pyrender()
    renderer(asymmetric_mesh(), cameras)  # has imported PyOpenGL with EGL as its platform
    from OpenGL import EGL

    own = moderngl.create_context(require=330, standalone=True, backend="egl")
    try:
        with own:
            before = EGL.eglGetCurrentContext().address
            assert before
            renderer(asymmetric_mesh(), cameras)
            assert EGL.eglGetCurrentContext().address == before
    finally:
        own.release()


@pytest.mark.parametrize("distance", [0.5, 3.0, 40.0])
def test_orthographic_depth_is_linear(distance: float) -> None:
    """Pyrender itself reads it by the perspective formula."""
    cameras = r3.Cameras.look_at((0, 0, distance), image_size=(8, 8)).to_orthographic(1.0)
    square = Mesh(torch.tensor([[-9.0, -9, 0], [9, -9, 0], [0, 9, 0]]), torch.tensor([[0, 1, 2]]))
    depth = Pyrender()(square, cameras, ("depth",)).depth
    torch.testing.assert_close(depth, torch.full_like(depth, distance), rtol=1e-3, atol=2e-5)


def test_eight_lights_brighter_than_white(cameras: r3.Cameras) -> None:
    lights = tuple(DirectionalLight(towards=(i - 3.5, 1.0, (-1.0) ** i), color=(1.5, 0.7, i / 4)) for i in range(8))
    shading = Shading(lights=lights)
    expected = NumpyRenderer(shading)(asymmetric_mesh(), cameras, ("rgb",)).rgb
    assert expected.max() > 1.5
    found = Pyrender(shading)(asymmetric_mesh(), cameras, ("rgb",)).rgb
    assert float((found - expected).abs().flatten().kthvalue(int(0.99 * expected.numel())).values) < 0.01


def test_the_device_is_the_one_that_was_chosen(cameras: r3.Cameras) -> None:
    code = "import render3d as r3; print(r3.renderers.Pyrender().gl_renderer)"
    environment = {"PATH": "", "EGL_DEVICE_ID": "57"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)
    assert "GraphicsError: pyrender got no OpenGL through EGL" in done.stderr
    assert "'render3d doctor' tells what is missing" in done.stderr


_FORK = """
import os, sys, torch, render3d as r3
mesh, camera = r3.Mesh(torch.eye(3), torch.tensor([[0, 1, 2]])), r3.Cameras.look_at((2.0, 2.0, 2.0), image_size=(8, 8))
renderer = r3.renderers.Pyrender()
renderer(mesh, camera)
sys.stdout.flush()
if os.fork() == 0:
    try:
        renderer(mesh, camera)
    except r3.errors.GraphicsError as error:
        print(error, flush=True)
    os._exit(0)
os.wait()
renderer(mesh, camera)
print("the parent goes on")
"""


def test_a_fork_is_refused_and_the_parent_goes_on(tmp_path: Path) -> None:
    script = tmp_path / "fork.py"
    script.write_text(_FORK)
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=120, check=True)
    assert 'multiprocessing_context="spawn"' in done.stdout
    assert "the parent goes on" in done.stdout


@pytest.mark.filterwarnings("ignore::render3d.renderers.EmptyViewWarning")
def test_meshes_are_freed() -> None:
    """Sixty meshes of 1.2 MB each, every one of another size, keep less than a quarter of it."""
    renderer, process = Pyrender(), psutil.Process()
    camera = r3.Cameras.look_at((0, 0, 3.0), image_size=(16, 16))
    memory = 0
    for number in range(120):
        count = 100_000 + number
        mesh = Mesh(torch.rand(count, 3), torch.arange(300).reshape(100, 3))
        renderer(mesh, camera, ("alpha",))
        if number == 60:
            gc.collect()
            memory = process.memory_info().rss
    gc.collect()
    assert process.memory_info().rss - memory < 60 * 100_000 * 12 / 4
