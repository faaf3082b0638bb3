"""Prints, as Markdown, how far every renderer that is installed is from the reference in NumPy.

python docs/figures/conformance.py

The scene is that of the conformance tests: an asymmetric mesh, pixels that are not square, principal points off the
centre; perspective and orthographic, flat and smooth normals, of which the worst counts. Gradients are compared as in
`render3d.testing.gradients`.
"""

import importlib.metadata
import itertools
import math
from collections.abc import Callable

from render3d import Shading
from render3d.optional import MITSUBA, PYTORCH3D
from render3d.renderers import Mitsuba, OpenGL, Pyrender, PyTorch3D, Renderer
from render3d.testing.contracts import PROJECTIONS
from render3d.testing.gradients import Image, Motion, MotionProblem
from render3d.testing.parity import compare
from render3d.testing.reference import NumpyRenderer
from render3d.testing.scenes import asymmetric_mesh, uneven_cameras

MEASURES = ("differing", "far_differing", "depth", "normal_degrees", "rgb", "other_face")
MOTIONS: tuple[Motion, ...] = ("mesh", "poses")


def installed() -> dict[str, Callable[[Shading], Renderer]]:
    """Renderers by name and version."""
    found: dict[str, Callable[[Shading], Renderer]] = {"OpenGL": OpenGL, "Pyrender": Pyrender}
    if MITSUBA.is_installed:
        found[f"Mitsuba {importlib.metadata.version('mitsuba')}"] = Mitsuba
    if PYTORCH3D.is_installed:
        found[f"PyTorch3D {importlib.metadata.version('pytorch3d')}, hard"] = lambda s: PyTorch3D(s, soft=None)
    return found


def images(make: Callable[[Shading], Renderer]) -> list[float]:
    """The worst of each measure."""
    worst = [0.0] * len(MEASURES)
    for projection, normals in itertools.product(PROJECTIONS, ("flat", "smooth")):
        shading, cameras = Shading(normals=normals), uneven_cameras(projection)
        renderer = make(shading)
        outputs = renderer.capabilities.outputs
        scene = asymmetric_mesh()
        parity = compare(NumpyRenderer(shading)(scene, cameras, outputs), renderer(scene, cameras, outputs))
        worst = [max(most, getattr(parity, name)) for most, name in zip(worst, MEASURES, strict=True)]
        worst = [
            math.nan if math.isnan(getattr(parity, name)) else most for most, name in zip(worst, MEASURES, strict=True)
        ]
    return worst


def gradient(make: Callable[[Shading], Renderer], image: Image, motion: Motion) -> float:
    """The worse relative error of both projections; NaN where it is not claimed."""
    problems = [MotionProblem(image, motion, projection) for projection in PROJECTIONS]
    renderer = make(problems[0].shading)
    if ("silhouette" if image == "alpha" else "interior") not in renderer.capabilities.gradients:
        return math.nan
    return max(problem.relative_error(renderer) for problem in problems)


def row(cells: list[str]) -> str:
    """A line of a table."""
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Both tables."""
    cases = list(itertools.product(("alpha", "rgb"), MOTIONS))
    tables = {
        ("differing", "far", "depth", "normals, degrees", "rgb", "other face"): images,
        tuple(f"{image}, {motion}" for image, motion in cases): lambda make: [gradient(make, *case) for case in cases],
    }
    for header, measure in tables.items():
        print(row(["renderer", *header]))
        print(row(["---"] * (len(header) + 1)))
        for name, make in installed().items():
            print(row([name, *("-" if math.isnan(value) else f"{value:.2g}" for value in measure(make))]), flush=True)
        print()


if __name__ == "__main__":
    main()
