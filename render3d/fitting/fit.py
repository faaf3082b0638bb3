"""Fit a mesh to silhouettes, through any renderer."""

import dataclasses
import hashlib
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import final

import torch
from torch import Tensor

from render3d.cameras import Cameras
from render3d.errors import FitError, ShapeError
from render3d.estimators import expected_loss, leave_one_out
from render3d.fitting.checkpoint import Checkpoint, Record
from render3d.fitting.optimiser import UniformAdam
from render3d.fitting.preconditioner import SmoothCoordinates
from render3d.fitting.settings import FitSettings
from render3d.fitting.spheres import enclosing_sphere
from render3d.fitting.targets import check_targets, named, pixel_size, shrunk
from render3d.images import Rendering
from render3d.metrics import silhouette_iou
from render3d.randomness import Key
from render3d.renderers.base import Renderer, Shading
from render3d.scenes import Mesh
from render3d.views import Views

Progress = Callable[[Record], None]

_SECONDS_BETWEEN_SAVES = 5.0
_DEFAULTS = FitSettings()


@final
@dataclasses.dataclass(frozen=True)
class FitResult:
    """What `fit` found.

    Attributes:
        mesh: The fitted mesh, with the faces and colours of the template.
        template: What it was deformed from.
        records: One for each step, in order.
    """

    mesh: Mesh
    template: Mesh
    records: tuple[Record, ...]

    @property
    def training_iou(self) -> float | None:
        """Mean silhouette intersection over union on the views that were fitted."""
        return self.records[-1].training_iou

    @property
    def held_out_iou(self) -> float | None:
        """The same on the views that were held out, if there were any."""
        return self.records[-1].held_out_iou


def fit(
    views: Views,
    template: Mesh | None = None,
    renderer: Renderer | None = None,
    settings: FitSettings = _DEFAULTS,
    *,
    held_out: Views | None = None,
    checkpoint: Path | None = None,
    progress: Progress | None = None,
) -> FitResult:
    """Deform ``template`` until its silhouettes are those of ``views``.

    Steps are taken in smooth coordinates (`SmoothCoordinates`) by `UniformAdam`, against the expected squared
    difference of coverage of noisy meshes (`leave_one_out`), or against the plain one where the renderer carries
    gradients to silhouettes. Noise, and the steps, go from coarse to fine.

    Args:
        views: Silhouettes and cameras of one object, at least one view.
        template: One mesh; its topology stays. By default the `enclosing_sphere` of the views.
        renderer: Any `Renderer`, black box or not; by default `render3d.renderers.OpenGL`.
        settings: Everything else.
        held_out: Views that are measured along the way and never fitted.
        checkpoint: A file. The fit is saved there every few seconds, at the end, and when it is interrupted; if the
            file is there already, the fit goes on from it and ends where it would have ended without the stop, bit for
            bit on the same machine.
        progress: Called with the `Record` of every step.

    Returns:
        A `FitResult`.

    Raises:
        FitError: Views that nothing can be learned from, a template that no camera sees, or a checkpoint that cannot be
            written or is of another fit.
        KeyboardInterrupt: Passed on, after saving.
    """
    renderer = renderer or _opengl()
    check_targets(views, name="views")
    views = shrunk(views, settings.resolution)
    if held_out is not None:
        check_targets(held_out, name="held_out")
        held_out = shrunk(held_out, settings.resolution)
    if template is None:
        template = enclosing_sphere(views).mesh(settings.subdivisions).to(views.alpha.device)
    elif template.batch_shape:
        raise ShapeError(f"template must be one mesh; got a batch of shape {list(template.batch_shape)}. Index it.")
    template = template.detach()
    task = _Task(views, held_out, template, renderer, settings)
    task.check_visible()
    file = Checkpoint(checkpoint, _identity(task)) if checkpoint else None
    state, records = _run(task, file, progress or (lambda record: None))
    return FitResult(task.mesh(state.parameters), template, tuple(records))


def _run(task: "_Task", file: Checkpoint | None, progress: Progress) -> tuple[UniformAdam, Sequence[Record]]:
    state, records = (file.load(task.template.vertices.device) if file else None) or (task.start(), [])
    began = time.monotonic() - (records[-1].seconds if records else 0.0)
    saved_at = time.monotonic()
    try:
        while state.count < task.settings.steps:
            following, loss = task.step(state)
            record = task.measure(following, loss, time.monotonic() - began)
            # A step counts once both of these are done; an interrupt between them is mended below.
            records.append(record)
            state = following
            progress(record)
            if file and time.monotonic() - saved_at > _SECONDS_BETWEEN_SAVES:
                file.save(state, records)
                saved_at = time.monotonic()
    except KeyboardInterrupt:
        if file:
            file.save(state, records[: state.count])
        raise
    if file:
        file.save(state, records)
    return state, records


@final
class _Task:
    """What stays the same from step to step."""

    def __init__(
        self, views: Views, held_out: Views | None, template: Mesh, renderer: Renderer, settings: FitSettings
    ) -> None:
        self.views, self.held_out, self.template = views, held_out, template
        self.renderer, self.settings = renderer, settings
        vertices = template.vertices
        center = (vertices.amin(0) + vertices.amax(0)) / 2
        self.radius = float((vertices - center).norm(dim=-1).max())
        self.pixel = pixel_size(views.cameras, center)
        self.coordinates = SmoothCoordinates(template.faces, len(vertices), settings.smoothness)

    def start(self) -> UniformAdam:
        """The template, before any step."""
        return UniformAdam.start(self.coordinates.from_vertices(self.template.vertices))

    def mesh(self, parameters: Tensor) -> Mesh:
        """The deformed template."""
        return self.template.with_vertices(self.coordinates.to_vertices(parameters))

    @torch.enable_grad()
    def step(self, state: UniformAdam) -> tuple[UniformAdam, float]:
        """The state after one step, and the loss before it."""
        parameters = state.parameters.clone().requires_grad_()
        loss = self._loss(self.mesh(parameters), state.count)
        loss.backward()  # type: ignore[no-untyped-call]
        assert parameters.grad is not None
        rate = self.settings.learning_rate_at(state.count) * self.radius
        return state.step(parameters.grad, rate), float(loss.detach())

    def _loss(self, mesh: Mesh, step: int) -> Tensor:
        views = self.views
        count = views.cameras.views
        if "silhouette" in self.renderer.capabilities.gradients:
            return (self.renderer(mesh, views.cameras, ("alpha",)).alpha - views.alpha).square().mean()
        # Each view draws noise of its own: a batch of meshes, one a view, each seen by one camera. A vertex is then not
        # credited with what other vertices did to other views, which shared noise cannot avoid: at equal cost, the
        # variance is a third.
        meshes = mesh.with_vertices(mesh.vertices.expand(count, -1, -1))
        target = views.alpha[:, None]

        def squared_difference(rendering: Rendering) -> Tensor:
            return (rendering.alpha - target).square().squeeze(-3)

        estimator = leave_one_out(self.settings.samples, self.settings.noise_at(step) * self.pixel)
        key = Key(self.settings.seed).fold_in(step)
        cameras = views.cameras[:, None]
        losses = expected_loss(
            self.renderer, meshes, cameras, squared_difference, estimator, outputs=("alpha",), generator=key
        )
        return losses.sum() / views.alpha.numel()

    def measure(self, state: UniformAdam, loss: float, seconds: float) -> Record:
        """The record of a step; it renders only now and then."""
        record = Record(step=state.count, seconds=seconds, loss=loss)
        if state.count % self.settings.evaluate_every and state.count < self.settings.steps:
            return record
        mesh = self.mesh(state.parameters)
        return dataclasses.replace(
            record,
            training_iou=mean_iou(self.renderer, mesh, self.views),
            held_out_iou=mean_iou(self.renderer, mesh, self.held_out) if self.held_out else None,
        )

    def check_visible(self) -> None:
        """Raise `FitError` if a view does not show the template: there would be no gradient from it."""
        depth = self.views.cameras.to_camera_space(self.template.vertices)[..., 2]
        pixels = self.views.cameras.project(self.template.vertices)
        height, width = self.views.cameras.image_size
        cameras: Cameras = self.views.cameras
        cut = (depth <= cameras.near) | (depth >= cameras.far)
        x, y = pixels.unbind(-1)
        # All of it beyond one border. That no vertex is in the picture is not enough: a close-up may show one triangle.
        unseen = torch.stack([beyond | cut for beyond in (x < 0, x >= width, y < 0, y >= height)]).all(-1).any(0)
        if bool(unseen.any()):
            raise FitError(
                f"The template is out of the picture in {named(self.views, unseen)} "
                f"({int(unseen.sum())} of {cameras.views} views). Check the poses (OpenCV: z forward), near and far, "
                "and the template's place and size; without a template, a sphere is placed by the silhouettes."
            )


def mean_iou(renderer: Renderer, mesh: Mesh, views: Views) -> float:
    """The mean silhouette intersection over union of a mesh and views, by a sharp rendering."""
    with torch.no_grad():
        return float(silhouette_iou(renderer(mesh, views.cameras, ("alpha",)).alpha, views.alpha).mean())


def _opengl() -> Renderer:
    from render3d.renderers import OpenGL

    return OpenGL()


def _identity(task: _Task) -> dict[str, str]:
    """What must be the same for a fit to go on."""
    settings = {f"settings.{name}": str(value) for name, value in dataclasses.asdict(task.settings).items()}
    inputs = {
        "renderer": task.renderer.capabilities.name,
        "template": _fingerprint(task.template.vertices, task.template.faces),
    }
    shading = getattr(task.renderer, "shading", None)
    if isinstance(shading, Shading):  # lights do not change silhouettes
        inputs |= {f"shading.{name}": str(getattr(shading, name)) for name in ("samples_per_pixel", "cull")}
    for name, views in (("views", task.views), ("held_out", task.held_out)):
        inputs[name] = _fingerprint_of_views(views) if views else "none"
    return settings | inputs


def _fingerprint_of_views(views: Views) -> str:
    cameras = views.cameras
    model = f"{cameras.projection} {cameras.near} {cameras.far}"
    return _fingerprint(cameras.world_to_camera, cameras.intrinsics, views.alpha, note=model)


def _fingerprint(*tensors: Tensor, note: str = "") -> str:
    digest = hashlib.sha256(note.encode())
    for tensor in tensors:
        digest.update(repr(tuple(tensor.shape)).encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]
