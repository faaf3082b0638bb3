"""Nothing grows: memory and OpenGL objects over many renders of ever different scenes."""

import ctypes
import gc
from collections.abc import Callable

import psutil
import pytest
import torch

from render3d import Cameras, Mesh, Texture
from render3d.renderers import OpenGL
from render3d.renderers.opengl.context import shared_context

RENDERS, DISTINCT, WARM_UP = 6_000, 200, 1_000
LEAK = 200  # bytes a render that would be seen
KINDS = ("glIsBuffer", "glIsTexture", "glIsFramebuffer", "glIsRenderbuffer", "glIsVertexArray", "glIsProgram")


def count_gl_objects(kinds: tuple[str, ...] = KINDS) -> int:
    """How many names OpenGL itself says are objects of these kinds."""
    library = ctypes.CDLL("libGL.so.1")
    library.glXGetProcAddress.restype = ctypes.c_void_p
    total = 0
    with shared_context(0).current():
        for kind in kinds:
            address = library.glXGetProcAddress(kind.encode())
            is_object: Callable[[int], int] = ctypes.CFUNCTYPE(ctypes.c_ubyte, ctypes.c_uint)(address)
            total += sum(is_object(name) for name in range(1, 3000))
    return total


def scenes() -> list[tuple[Mesh, Cameras, tuple[str, ...]]]:
    """As many different topologies, image sizes and outputs; one in eight has a texture of its own."""
    result = []
    generator = torch.Generator().manual_seed(0)
    for number in range(DISTINCT):
        count = 4 + number
        vertices = torch.randn(count, 3, generator=generator)
        faces = torch.randint(count, (count, 3), generator=generator)
        texture = Texture(torch.rand(8, 8 + number, 3), torch.rand(count, 2)) if number % 8 == 0 else None
        cameras = Cameras.sphere(1 + number % 3, 4.0, image_size=(8 + number % 23, 8 + number % 29))
        outputs = (("alpha",), ("rgb", "alpha"), ("depth", "alpha"), ("rgb", "normal", "alpha"))[number % 4]
        result.append((Mesh(vertices, faces, texture=texture), cameras, outputs))
    return result


@pytest.mark.filterwarnings("ignore::render3d.renderers.EmptyViewWarning")
def test_memory_and_objects_stay_flat() -> None:
    """Renders of 200 sizes and topologies: less than 200 bytes of growth a render, after the first 1,000."""
    renderer, work, process = OpenGL(), scenes(), psutil.Process()
    memory = objects = 0
    for number in range(RENDERS):
        mesh, cameras, outputs = work[number % DISTINCT]
        renderer(mesh, cameras, outputs)
        if number == WARM_UP:
            gc.collect()
            memory, objects = process.memory_info().rss, count_gl_objects()
    gc.collect()
    assert count_gl_objects() == objects
    assert 10 < objects < 1000
    assert process.memory_info().rss < memory + LEAK * (RENDERS - WARM_UP)


def test_textures_go_with_their_images() -> None:
    """Those of images that are gone, once another is drawn; not those that may be drawn again."""
    renderer = OpenGL()
    textured = [(mesh, cameras) for mesh, cameras, _ in scenes() if mesh.texture is not None][:12]
    counts = []
    while textured:
        mesh, cameras = textured.pop()
        renderer(mesh, cameras)
        counts.append(count_gl_objects(("glIsTexture",)))
    assert counts == 12 * counts[:1]


def test_a_large_call_is_drawn_in_small_uploads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the size of a call, what OpenGL keeps for the next is that of an upload."""
    context, ball = shared_context(0), Mesh.icosphere(6)
    monkeypatch.setattr(context, "resources", None)  # not those that other tests have made larger
    OpenGL()(ball, Cameras.sphere(24, 4.0, image_size=(16, 16)), ("alpha",))
    resources = context.resources
    assert resources is not None
    whole = 24 * ball.vertices.numel() // 3 * 16  # bytes of positions
    assert 0 < resources.buffers.size < whole / 2
