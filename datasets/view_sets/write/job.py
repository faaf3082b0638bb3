"""What is done for one object: read, normalise, render, encode, store."""

import contextlib
import dataclasses
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, final

import torch

from render3d._version import __version__
from render3d.cameras import Cameras
from render3d.datasets.base import OF_RENDERING, number_of
from render3d.datasets.collections import CollectionObject
from render3d.datasets.view_sets.write.engine import Finished, Outcome
from render3d.datasets.view_sets.write.preparing import (
    cameras_of,
    failure,
    problems_before_rendering,
    read_object,
)
from render3d.datasets.view_sets.write.settings import ViewsSettings
from render3d.datasets.view_sets.write.sources import MeshSource, check_name
from render3d.datasets.view_sets.write.store import put
from render3d.errors import MeshError
from render3d.images import Rendering
from render3d.images.files import depth_unit
from render3d.randomness import Key
from render3d.renderers import Renderer
from render3d.renderers.base import EmptyViewWarning
from render3d.scenes import Mesh
from render3d.view_sets.formats import format_by_name

_CONVENTION = "OpenCV: x right, y down, z forward; columns; pixels from the corner of the image, centres at + 0.5"
_renderers: dict[str, Renderer] = {}


class RenderedObject(NamedTuple):
    """One object, rendered.

    Attributes:
        cameras: ``[views]``, in the frame of the mesh as it was rendered: normalised, where it was.
        rendering: ``[views]``.
        facts: How it was made, for the record, as JSON has it: source, normalisation, shading, seed, versions.
    """

    cameras: Cameras
    rendering: Rendering
    facts: dict[str, Any]


@final
@dataclasses.dataclass(frozen=True)
class RenderObject:
    """The `Job` of making images.

    What it stores is a function of the settings and of the object: its id and its file. The renderer is made once in
    each process, when it is first needed.

    Attributes:
        settings: How.
        folder: Of the run.
    """

    settings: ViewsSettings
    folder: Path

    def __call__(self, item: CollectionObject) -> Outcome:
        """Make and store the images of an object."""
        clock = _Clock()
        files: dict[str, str] = {}
        try:
            with clock.stage("loading"):
                check_name(item)
                source, mesh = read_object(item, self.settings, files)
            with clock.stage("rendering"):
                rendered = self._render(item, mesh, source)
            with clock.stage("writing"):
                format = format_by_name(self.settings.format)
                files_ = format.files(rendered.cameras, rendered.rendering, rendered.facts["made_with"]["renderer"])
                put(self.folder, format.place(item), files_, rendered.facts)
        except Exception as error:  # whatever it is, the next object has its turn
            return failure(item, error, clock.current, files)
        return Finished(item, clock.seconds, problems=rendered.facts["problems"])

    def render(self, item: CollectionObject) -> RenderedObject:
        """The images of an object, as they would be stored.

        Raises:
            MeshError: As `CollectionObject.load`, or no view shows anything.
            CapabilityError: As `ViewsSettings.make_renderer`.
            OSError: The file cannot be read.
        """
        source, mesh = read_object(item, self.settings, {})
        return self._render(item, mesh, source)

    def _render(self, item: CollectionObject, mesh: Mesh, source: MeshSource) -> RenderedObject:
        renderer = _renderer(self.settings)
        cameras = cameras_of(item, self.settings)
        problems = problems_before_rendering(mesh, cameras)
        key = Key(self.settings.seed).fold_in(OF_RENDERING).fold_in(number_of(item.id))
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore", EmptyViewWarning)  # it is told in the facts
            rendering = renderer(mesh, cameras, self.settings.outputs, generator=key)
        empty = (rendering.stored("alpha").flatten(1).amax(-1) == 0).nonzero()[:, 0].tolist()
        if len(empty) == cameras.views:
            raise MeshError(
                "No view shows anything of it: it lies outside all of them, or not between near and far. Have it "
                "normalised (radius)."
            )
        if empty:
            problems += (
                f"It is not seen in {len(empty)} of {cameras.views} views, the first of them view {empty[0]}.",
            )
        facts = self._facts(item, mesh, source, cameras, renderer)
        return RenderedObject(cameras, rendering, facts | {"problems": list(problems), "empty_views": empty})

    def _facts(
        self, item: CollectionObject, mesh: Mesh, source: MeshSource, cameras: Cameras, renderer: Renderer
    ) -> dict[str, Any]:
        settings = self.settings.to_json()
        return {
            **item.facts(),
            "source": {"path": item.path.relative_to(item.root).as_posix(), **dataclasses.asdict(source)},
            "normalisation": {
                "radius": self.settings.radius,
                "up": self.settings.up,
                "to_source": None if mesh.to_source is None else mesh.to_source.tolist(),
            },
            "outputs": list(self.settings.outputs),
            "cameras": _camera_facts(cameras),
            "depth": {"kind": "camera z, 0 where nothing is", "unit": depth_unit(cameras.far)},
            "normal_space": "world",
            "shading": settings["shading"],
            "seed": self.settings.seed,
            "made_with": {
                "render3d": __version__,
                "renderer": renderer.capabilities.name,
                "GL_RENDERER": getattr(renderer, "gl_renderer", None),
            },
        }


@final
class _Clock:
    """Seconds of each stage by its name, and which is going on."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.current = ""

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        self.current = name
        begin = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - begin


def _renderer(settings: ViewsSettings) -> Renderer:
    """That of this process: OpenGL contexts are not shared by processes, and take long to make."""
    name = repr((settings.renderer, settings.shading))
    if name not in _renderers:
        _renderers[name] = settings.make_renderer()
    return _renderers[name]


def _camera_facts(cameras: Cameras) -> dict[str, Any]:
    return {
        "convention": _CONVENTION,
        "projection": cameras.projection,
        "image_size": list(cameras.image_size),
        "near": cameras.near,
        "far": cameras.far,
        "intrinsics": cameras.intrinsics.tolist(),
        "world_to_camera": cameras.world_to_camera.tolist(),
    }
