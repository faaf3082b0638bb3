"""``python -m benchmarks render``: OpenGL beside pyrender at its best.

256 different meshes a call, 64 x 64 pixels. Pyrender gets its meshes straight from arrays, normals included, one scene,
its default multisampling, and for silhouettes its depth-only mode. When shading, both have one light and leave back
faces out, as pyrender does by default; OpenGL shades flat, and pyrender smooth: each by its cheaper way. Each returns
images in a type of its own: pyrender bytes, OpenGL 16-bit floats, or bytes for silhouettes.
"""

import functools
from collections.abc import Callable
from typing import Any, Literal

import torch

from benchmarks.findings import Results
from benchmarks.timing import Comparison, race
from render3d.cameras import Cameras
from render3d.conventions import to_opengl
from render3d.renderers import OpenGL, Shading
from render3d.renderers.pyrender import load
from render3d.scenes import Mesh

Images = Literal["shaded", "silhouettes"]

_MESHES, _SIZE = 256, 64
_FLOORS: dict[tuple[Images, int], float] = {
    ("shaded", 162): 30.0,
    ("shaded", 642): 15.0,
    ("silhouettes", 162): 10.0,
    ("silhouettes", 642): 4.0,
}


def compare(rounds: int) -> Results:
    """Images a second of both."""
    found = [_compare(images, vertices, floor, rounds) for (images, vertices), floor in _FLOORS.items()]
    return Results(comparisons=found)


def _compare(images: Images, vertices: int, floor: float, rounds: int) -> Comparison:
    ball = Mesh.icosphere({162: 2, 642: 3}[vertices])
    noise = torch.randn(_MESHES, vertices, 3, generator=torch.Generator().manual_seed(0))
    meshes = ball.with_vertices(ball.vertices + 0.03 * noise)
    # As in the demo: the unit sphere from a distance of 3.
    camera = Cameras.orbit(1, 3.0, elevation_degrees=30, vertical_fov_degrees=46.0, image_size=(_SIZE, _SIZE))
    rates = race(_opengl(meshes, camera, images), _pyrender(meshes, camera, images), _MESHES, rounds)
    case = f"{images}, {vertices} vertices"
    return Comparison(*rates, case=case, unit="images/s", peer="pyrender", floor=floor)


def _opengl(meshes: Mesh, camera: Cameras, images: Images) -> Callable[[], object]:
    renderer = OpenGL(Shading(cull="back", lights=Shading().lights[:1])) if images == "shaded" else OpenGL()
    output = "rgb" if images == "shaded" else "alpha"
    return lambda: renderer(meshes, camera, (output,))


def _pyrender(meshes: Mesh, camera: Cameras, images: Images) -> Callable[[], object]:
    library: Any = load()
    pose, focal, middle = to_opengl(camera)[0][0].numpy(), float(camera.intrinsics[0, 0, 0]), _SIZE / 2
    scene = library.Scene(ambient_light=(0.3, 0.3, 0.3))
    scene.add(library.IntrinsicsCamera(focal, focal, middle, middle, camera.near, camera.far), pose=pose)
    scene.add(library.DirectionalLight(intensity=3.0), pose=pose)
    faces, shaded = meshes.faces.numpy().astype("uint32"), images == "shaded"
    arrays = zip(meshes.vertices.numpy(), meshes.vertex_normals().numpy(), strict=True)
    attributes = [{"positions": positions} | ({"normals": normals} if shaded else {}) for positions, normals in arrays]
    flags = library.RenderFlags.NONE if shaded else library.RenderFlags.DEPTH_ONLY
    renderer = offscreen_renderer(_SIZE, _SIZE)

    def render() -> None:
        for given in attributes:
            node = scene.add(library.Mesh([library.Primitive(**given, indices=faces)]))
            renderer.render(scene, flags)
            scene.remove_node(node)

    return render


@functools.cache
def offscreen_renderer(width: int, height: int) -> Any:
    """One for all comparisons, never deleted: that would end the EGL display, and objects of other contexts with it."""
    renderer: Any = load().OffscreenRenderer(width, height)
    renderer.delete = lambda: None
    return renderer
