"""``python -m benchmarks views``: the views of a mesh beside a plain script on trimesh and pyrender.

24 views of 128 x 128 pixels an object, in one process, colours and depth. The script does what such scripts do: it
loads a mesh, has one offscreen renderer for all, renders pose by pose, and writes a PNG of colours and an ``.npy`` of
depth a view. The package writes what ``render3d views`` does: RGBA and depth as PNG, checksums, facts, and all of it
whole or not at all. The stage of rendering is that from a loaded mesh to arrays in memory.

Both have one light and leave back faces out, as pyrender does by default. The meshes are those of Debian's package
sweethome3d-furniture, where it is installed, whose files are of about median size; else those of `render3d.data`.
"""

import dataclasses
import itertools
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from benchmarks.findings import Results
from benchmarks.render import offscreen_renderer
from benchmarks.timing import Comparison, race
from render3d.cameras import Cameras
from render3d.conventions import to_opengl
from render3d.data import bunny, chicken, teapot
from render3d.datasets.collections import DEBIAN_FURNITURE, MeshCollection, furniture, open_collection
from render3d.datasets.view_sets.write.engine import Finished
from render3d.datasets.view_sets.write.job import RenderObject
from render3d.datasets.view_sets.write.protocols import Sphere
from render3d.datasets.view_sets.write.settings import ViewsSettings
from render3d.renderers import OpenGL, Shading
from render3d.renderers.pyrender import load

_MESHES = 12
_FLOORS = {"end to end": 2.5, "rendering": 5.0}
_OUTPUTS = ("rgb", "alpha", "depth")
_SHADING = Shading(cull="back", lights=Shading().lights[:1])
_SETTINGS = ViewsSettings(protocol=Sphere(), outputs=_OUTPUTS, shading=_SHADING)


def compare(rounds: int) -> Results:
    """Views a second of both."""
    torch.set_num_threads(1)  # as in each of the package's workers
    cameras = _SETTINGS.protocol(np.random.default_rng(0))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        objects, corpus = _corpus(folder)
        script = _Script(cameras, folder / "script")
        pairs = {
            "end to end": (_package(objects, folder / "package"), script.end_to_end(objects)),
            "rendering": (_rendering(objects, cameras), script.rendering(objects)),
        }
        found = []
        for case, (ours, theirs) in pairs.items():
            rates = race(ours, theirs, len(objects) * cameras.views, rounds)
            floor, peer = _FLOORS[case], "trimesh, pyrender"
            found.append(Comparison(*rates, case=case, unit="views/s", peer=peer, floor=floor, note=corpus))
    return Results(comparisons=found)


def _corpus(folder: Path) -> tuple[MeshCollection, str]:
    """Some meshes, and what they are."""
    if DEBIAN_FURNITURE.is_dir():
        objects = furniture(DEBIAN_FURNITURE, folder / "furniture")
        by_size = sorted(objects, key=lambda item: (item.path.stat().st_size, item.id))
        first = (len(by_size) - _MESHES) // 2
        objects = MeshCollection.of(by_size[first : first + _MESHES])
        name = "furniture of Sweet Home 3D"
    else:
        for model in (bunny(), teapot(), chicken()):
            path = folder / "models" / f"{(model.source or Path('model')).stem}.obj"
            path.parent.mkdir(exist_ok=True)
            model.save(path)
        objects, name = open_collection(folder / "models"), "the bundled models"
    faces = [len(item.load().faces) for item in objects]
    return objects, f"{len(objects)} meshes, {name}, of {int(np.median(faces)):,} faces (median)."


def _package(objects: MeshCollection, folder: Path) -> Callable[[], object]:
    folder.mkdir()
    job, copy = RenderObject(_SETTINGS, folder), itertools.count()

    def make() -> None:
        for item in objects:
            outcome = job(dataclasses.replace(item, id=f"{next(copy)}"))
            if not isinstance(outcome, Finished):
                raise ValueError(f"{item.path}: {outcome.reason}")

    return make


def _rendering(objects: MeshCollection, cameras: Cameras) -> Callable[[], object]:
    meshes = [item.load().normalized() for item in objects]
    renderer = OpenGL(_SHADING)

    def render() -> None:
        with torch.no_grad():
            for mesh in meshes:
                renderer(mesh, cameras, _OUTPUTS)

    return render


class _Script:
    """What people write: one mesh, one pose at a time."""

    def __init__(self, cameras: Cameras, folder: Path) -> None:
        self._library: Any = load()
        self._poses = to_opengl(cameras)[0].double().numpy()
        self._matrix = cameras.intrinsics[0].tolist()
        self._near_far = cameras.near, cameras.far
        self._renderer = offscreen_renderer(*reversed(cameras.image_size))
        self._folder = folder
        folder.mkdir()

    def end_to_end(self, objects: MeshCollection) -> Callable[[], object]:
        copy = itertools.count()

        def make() -> None:
            for item in objects:
                folder = self._folder / f"{next(copy)}"
                folder.mkdir(exist_ok=True)
                for number, (color, depth) in enumerate(self._render(_loaded(item.path))):
                    Image.fromarray(color).save(folder / f"{number:04d}.png")
                    np.save(folder / f"{number:04d}.npy", depth)

        return make

    def rendering(self, objects: MeshCollection) -> Callable[[], object]:
        meshes = [_loaded(item.path) for item in objects]
        return lambda: [list(self._render(parts)) for parts in meshes]

    def _render(self, parts: Sequence[Any]) -> Iterator[tuple[npt.NDArray[Any], npt.NDArray[Any]]]:
        library, (near, far) = self._library, self._near_far
        scene = library.Scene(ambient_light=(0.3, 0.3, 0.3))
        for part in parts:
            scene.add(library.Mesh.from_trimesh(part))
        (fx, _, cx), (_, fy, cy), _ = self._matrix
        camera = scene.add(library.IntrinsicsCamera(fx, fy, cx, cy, near, far))
        light = scene.add(library.DirectionalLight(intensity=3.0))
        for pose in self._poses:
            scene.set_pose(camera, pose)
            scene.set_pose(light, pose)
            yield self._renderer.render(scene)


def _loaded(path: Path) -> list[Any]:
    """The parts of a mesh file in the unit sphere."""
    import trimesh

    scene: Any = trimesh.load_scene(path)
    low, high = scene.bounds
    scene.apply_translation(-(low + high) / 2)
    scene.apply_scale(2 / np.linalg.norm(high - low))
    parts: list[Any] = scene.dump()
    return parts
