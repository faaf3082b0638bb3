"""Photographs in, a textured mesh out."""

import dataclasses
import itertools
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import final

import torch

from render3d import renderers
from render3d.errors import FitError
from render3d.fitting import remarks
from render3d.fitting.checkpoint import FitRecord, kept, run_folder
from render3d.fitting.color_fit import ColorFitResult, fit_colors, pixel_size
from render3d.fitting.hulls import visual_hull
from render3d.fitting.identity import identity
from render3d.fitting.levels import LONGEST_EDGE, Level, within
from render3d.fitting.loop import Measured, Progress, check_renderer, mean_iou
from render3d.fitting.settings import FitSettings
from render3d.fitting.spheres import enclosing_sphere
from render3d.fitting.targets import check_targets, pixel_at, shrunk
from render3d.fitting.template_fit import fit_template, radius_of
from render3d.optional import XATLAS
from render3d.renderers.base import Renderer
from render3d.renderers.deferred_shading import Shaded
from render3d.renderers.edge_gradient import tells_faces
from render3d.runs.readiness import check_ready
from render3d.scenes import Mesh
from render3d.scenes.remeshing import remeshed
from render3d.view_sets import ViewSet

ROUNDS = "rounds"
"""The folder of the rounds, in that of a fit."""

START = "start.safetensors"
"""The template of a round, in its folder."""

_DEFAULTS = FitSettings()
_SUBDIVISIONS = 4  # of a sphere, where nothing can be carved
_UPDATES = 6  # of colours between rounds; the last ones follow noise


@final
@dataclasses.dataclass(frozen=True)
class FitResult(Measured):
    """What `fit` found.

    Attributes:
        mesh: The mesh, in the world of the cameras; textured, or with colours of vertices, if they were asked for.
        stages: What each stage left, by its name, in order: ``"hull"``, ``"shape"``, ``"colour"`` and ``"texture"``,
            as far as they were made.
        records: One for the hull, one for each update, and one for the texture, in order.
        colors: What was found of the colours, if they were asked for.
        remarks: What is wrong with the views, or was left out, one sentence each; to be shown to people.
        settings: Those of the fit, with the gradient that was chosen.
    """

    mesh: Mesh
    stages: Mapping[str, Mesh]
    records: tuple[FitRecord, ...]
    colors: ColorFitResult | None
    remarks: tuple[str, ...]
    settings: FitSettings

    @property
    def scene(self) -> Mesh:
        """The mesh: what was fitted, as `VolumeFitResult.scene`."""
        return self.mesh


def fit(
    views: ViewSet,
    renderer: Renderer | None = None,
    settings: FitSettings = _DEFAULTS,
    *,
    held_out: ViewSet | None = None,
    folder: Path | None = None,
    progress: Progress | None = None,
) -> FitResult:
    """Find the mesh that posed photographs show, of any topology, with its texture.

    1. *hull*: the smooth `visual_hull`; where nothing can be carved, the `enclosing_sphere`.
    2. *shape*: `fit_template` to silhouettes, through the renderer, from small images and large triangles to large
       images and small ones; before each level the surface is made anew of triangles of one size (`remeshed`).
    3. *colour*: the same with colours: those of vertices are found by `fit_colors`, then vertices move until the mesh
       in these colours looks like the views, and again.
    4. *texture*: the surface is unwrapped, and its texture found by `fit_colors`.

    Args:
        views: Silhouettes, colours and cameras of one object; two views at least. Without colours, the fit ends with
            the shape.
        renderer: Any `Renderer` of meshes, black box or not; by default `OpenGL` without lights, so that the light of
            the photographs is part of the colours. Colours need its output ``rgb``. Where it does not tell which face
            a pixel shows, `OpenGL` with its shading finds them.
        settings: Everything else.
        held_out: Views that are measured along the way and never fitted.
        folder: As in `fit_template`; a fit that goes on may go further, by `FitSettings.until`, than it did.
        progress: Called with the `FitRecord` of every update, of the hull and of the texture.

    Returns:
        A `FitResult`.

    Raises:
        CapabilityError: A renderer of volumes.
        FitError: Views that nothing can be learned from, or a folder as in `fit_template`.
        RendererError: xatlas is not installed, and a texture is wanted.
        KeyboardInterrupt: Passed on, after saving.
    """
    renderer = renderer or renderers.OpenGL(renderers.Shading.unlit())
    check_renderer(renderer, Mesh)
    settings = settings.chosen_for(renderer)
    if settings.until == settings.appearance == "texture" and views.rgb is not None:
        XATLAS.load()
    views, held_out, found = remarks.without_empty(views, held_out)
    check_targets(views=views, held_out=held_out)
    work = _Work(views, held_out, renderer, settings, folder, progress)
    if folder is not None:
        _begin(folder, work)
    mesh = work.hull()
    found += [*remarks.on_views(views, work.ball), *work.remarks, *remarks.on_parts(mesh)]
    stages = {"hull": mesh}
    for stage, levels in itertools.groupby(work.levels(), lambda level: level.stage):
        for level in levels:
            mesh = work.fitted(mesh, level)
        stages[stage] = mesh
    colors = work.colored(mesh)
    if colors is not None:
        mesh = stages["texture"] = colors.mesh
        found += remarks.on_outliers(colors.outliers)
    found += work.lacks()
    return FitResult(mesh, stages, tuple(work.records), colors, tuple(found), settings)


def _begin(folder: Path, work: "_Work") -> None:
    config = run_folder(folder)
    if not config.is_begun:
        check_ready(work.renderer, work.ball.mesh(1), work.views.cameras)
    named = identity("photographs", work.settings.lasting, work.renderer, work.views, work.held_out)
    config.begin(dataclasses.asdict(work.settings), named, work.renderer)


@final
class _Work:
    """A fit while it goes on: what it has left so far, and how long that took."""

    def __init__(
        self,
        views: ViewSet,
        held_out: ViewSet | None,
        renderer: Renderer,
        settings: FitSettings,
        folder: Path | None,
        progress: Progress | None,
    ) -> None:
        self.views, self.held_out, self.renderer, self.settings = views, held_out, renderer, settings
        self.folder, self.progress = folder, progress
        self.ball = enclosing_sphere(views)
        self.records: list[FitRecord] = []
        self.remarks: list[str] = []
        self._rounds = self._updates = 0
        self._seconds, self._mark = 0.0, time.monotonic()

    def hull(self) -> Mesh:
        """What the fit starts from."""
        try:
            mesh = visual_hull(self.views)
        except FitError as error:
            self.remarks.append(f"{error} The fit began with a sphere, whose topology the mesh has.")
            mesh = self.ball.mesh(_SUBDIVISIONS)
        mesh = mesh.to(self.views.alpha.device)
        self._note("hull", mesh)
        return mesh

    def levels(self) -> Sequence[Level]:
        """Those that are asked for and can be done."""
        levels = within(self.settings.levels, self.views.cameras.image_size)
        return [level for level in levels if level.stage == "shape" or self._has_colors]

    @property
    def _has_colors(self) -> bool:
        return self.settings.until != "shape" and not self.lacks()

    def lacks(self) -> list[str]:
        """Why there are no colours, though they were asked for."""
        if self.settings.until == "shape":
            return []
        if self.views.rgb is None:
            return ["The views have no colours: only the shape was fitted."]
        if "rgb" not in self.renderer.capabilities.outputs:
            name = self.renderer.capabilities.name
            return [f"{name} does not render colours: only the shape was fitted. Take another renderer for colours."]
        return []

    def fitted(self, mesh: Mesh, level: Level) -> Mesh:
        """The mesh after the rounds of a level."""
        pixel = self._pixel(level)
        for number in range(level.rounds):
            mesh = self._round(self._start(mesh, level, pixel, number), level, pixel, number)
        return mesh.without_colors()

    def _start(self, mesh: Mesh, level: Level, pixel: float, number: int) -> Mesh:
        """The template of a round; of one that was begun, the very same, whatever machine and threads go on with it."""

        def make() -> Mesh:
            edge = min(level.edge * pixel, LONGEST_EDGE * self.ball.radius)
            start = remeshed(mesh, edge) if number == 0 else mesh
            if level.stage == "shape":
                return start
            small = shrunk(self.views, level.pixels, "rgb")
            return fit_colors(small, start, self._painter, updates=_UPDATES).mesh

        folder = self._folder
        return make() if folder is None else kept(folder / START, make, self.views.alpha.device)

    @property
    def _folder(self) -> Path | None:
        """Of the next round."""
        return self.folder and self.folder / ROUNDS / f"{self._rounds:02d}"

    def _pixel(self, level: Level) -> float:
        """The side of a pixel on the object, scene units."""
        size = pixel_at(self.views.cameras, torch.tensor(self.ball.center).to(self.views.alpha.device))
        return size * max(self.views.cameras.image_size) / level.pixels

    def _round(self, mesh: Mesh, level: Level, pixel: float, number: int) -> Mesh:
        settings = self.settings.template_settings(level, number, pixel / radius_of(mesh))
        self._lap()
        began = self._updates, self._seconds

        def placed(record: FitRecord) -> FitRecord:
            update, seconds = began[0] + record.update, began[1] + record.seconds
            return dataclasses.replace(record, update=update, seconds=seconds, stage=level.stage)

        def told(record: FitRecord) -> None:
            if self.progress is not None:
                self.progress(placed(record))

        start = self.views, mesh, self.renderer, settings
        result = fit_template(*start, held_out=self.held_out, folder=self._folder, progress=told)
        self.records += map(placed, result.records)
        self._rounds, self._updates, self._seconds = self._rounds + 1, self.records[-1].update, self.records[-1].seconds
        self._mark = time.monotonic()
        return result.mesh

    def colored(self, mesh: Mesh) -> ColorFitResult | None:
        """The mesh in its colours, if they are asked for and can be found."""
        if self.settings.until != "texture" or self.settings.appearance == "none" or not self._has_colors:
            return None
        if self.settings.appearance == "texture":
            mesh = mesh.unwrapped(pixel_size(self.views.cameras, mesh))
        found = fit_colors(self.views, mesh, self._painter)
        self._note("texture", found.mesh, found.differences[-1] ** 2)
        return found

    @property
    def _painter(self) -> Renderer:
        """What finds colours."""
        if tells_faces(self.renderer):
            return self.renderer
        shading = self.renderer.shading if isinstance(self.renderer, Shaded) else renderers.Shading.unlit()
        return renderers.OpenGL(shading)

    def _note(self, stage: str, mesh: Mesh, loss: float | None = None) -> None:
        """Add the record of a stage that has no updates."""
        training = mean_iou(self.renderer, mesh, self.views)
        held_out = mean_iou(self.renderer, mesh, self.held_out) if self.held_out else None
        self._lap()
        record = FitRecord(
            update=self._updates,
            seconds=self._seconds,
            loss=1 - training if loss is None else loss,
            training_iou=training,
            held_out_iou=held_out,
            stage=stage,
        )
        self.records.append(record)
        if self.progress is not None:
            self.progress(record)

    def _lap(self) -> None:
        """Count the time since the last record."""
        now = time.monotonic()
        self._seconds, self._mark = self._seconds + now - self._mark, now
