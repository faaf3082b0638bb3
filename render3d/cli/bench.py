"""``render3d bench``: speed, as ratios measured in one run."""

import dataclasses
import functools
import json
import time
from collections.abc import Callable
from typing import Annotated, Any, Literal

import torch
import tyro
from rich.console import Console
from rich.table import Table

from render3d.cameras import Cameras
from render3d.conventions import to_opengl
from render3d.renderers import OpenGL, Shading
from render3d.renderers.pyrender import load
from render3d.report.provenance import provenance
from render3d.scenes import Mesh

Images = Literal["shaded", "silhouettes"]

_MESHES, _SIZE = 256, 64
_SECONDS = 0.5
_FLOORS: dict[tuple[Images, int], float] = {
    ("shaded", 162): 30.0,
    ("shaded", 642): 15.0,
    ("silhouettes", 162): 10.0,
    ("silhouettes", 642): 4.0,
}


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Images a second of both, the best of the rounds, and the least ratio that ``--check`` lets pass."""

    images: Images
    vertices: int
    opengl: float
    pyrender: float
    floor: float

    @property
    def ratio(self) -> float:
        """How many times faster OpenGL is."""
        return self.opengl / self.pyrender


def bench(
    subject: Annotated[Literal["render"], tyro.conf.Positional] = "render",
    /,
    *,
    check: bool = False,
    as_json: Annotated[bool, tyro.conf.arg(name="json")] = False,
    rounds: int = 8,
) -> int:
    """Compare OpenGL with pyrender at its best: 256 different meshes, 64 x 64 pixels.

    Pyrender gets its meshes straight from arrays, normals included, one scene, its default multisampling, and for
    silhouettes its depth-only mode. When shading, both have one light and leave back faces out, as pyrender does by
    default; OpenGL shades flat, and pyrender smooth: each by its cheaper way. Each returns images in a type of its own:
    pyrender bytes, OpenGL 16-bit floats, or bytes for silhouettes.

    Args:
        subject: What is measured.
        check: Exit with 1 if a ratio is below its floor.
        as_json: Print JSON instead of a table.
        rounds: Rounds in which both take turns; the best of each counts.
    """
    kinds: list[tuple[Images, int]] = list(_FLOORS)
    found = [_compare(images, vertices, rounds) for images, vertices in kinds]
    made_with = provenance(OpenGL())
    if as_json:
        rows = [dataclasses.asdict(each) | {"ratio": each.ratio} for each in found]
        print(json.dumps({"subject": subject, "comparisons": rows, "made_with": made_with}, indent=2))
    else:
        _print(found, made_with)
    slow = [each for each in found if each.ratio < each.floor]
    if check and slow:
        failed = ", ".join(f"{each.images} at {each.vertices} vertices" for each in slow)
        Console(stderr=True).print(f"Below the floor: {failed}.")
    return 1 if check and slow else 0


def _compare(images: Images, vertices: int, rounds: int) -> Comparison:
    ball = Mesh.icosphere({162: 2, 642: 3}[vertices])
    noise = torch.randn(_MESHES, vertices, 3, generator=torch.Generator().manual_seed(0))
    meshes = ball.with_vertices(ball.vertices + 0.03 * noise)
    # As in the demo: the unit sphere from a distance of 3.
    camera = Cameras.orbit(1, 3.0, elevation_degrees=30, vertical_fov_degrees=46.0, image_size=(_SIZE, _SIZE))
    ours, theirs = _opengl(meshes, camera, images), _pyrender(meshes, camera, images)
    rates = [(_rate(ours), _rate(theirs)) for _ in range(rounds + 1)][1:]  # the first round warms up
    opengl, pyrender = (max(side) for side in zip(*rates, strict=True))
    return Comparison(images, vertices, opengl, pyrender, _FLOORS[images, vertices])


def _rate(render: Callable[[], object]) -> float:
    """Images a second, over at least ``_SECONDS``."""
    began, calls = time.perf_counter(), 0
    while calls == 0 or time.perf_counter() - began < _SECONDS:
        render()
        calls += 1
    return calls * _MESHES / (time.perf_counter() - began)


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
    renderer = _offscreen_renderer()

    def render() -> None:
        for given in attributes:
            node = scene.add(library.Mesh([library.Primitive(**given, indices=faces)]))
            renderer.render(scene, flags)
            scene.remove_node(node)

    return render


@functools.cache
def _offscreen_renderer() -> Any:
    """One for all comparisons, never deleted: that would end the EGL display, and objects of other contexts with it."""
    renderer: Any = load().OffscreenRenderer(_SIZE, _SIZE)
    renderer.delete = lambda: None
    return renderer


def _print(found: list[Comparison], made_with: dict[str, str]) -> None:
    table = Table("", "vertices", "OpenGL, images/s", "pyrender, images/s", "ratio", "floor")
    for each in found:
        rates = f"{each.opengl:,.0f}", f"{each.pyrender:,.0f}"
        table.add_row(each.images, str(each.vertices), *rates, f"{each.ratio:.1f}", f"{each.floor:g}")
    console = Console()
    console.print(f"{_MESHES} meshes, {_SIZE} x {_SIZE} pixels, a call")
    console.print(table)
    console.print(", ".join(f"{name} {value}" for name, value in made_with.items()), highlight=False)
