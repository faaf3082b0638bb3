"""Fit a mesh to silhouettes, through any renderer."""

import dataclasses
from pathlib import Path
from typing import final

import torch
from torch import Tensor

from render3d import renderers
from render3d.cameras import Cameras
from render3d.errors import FitError, ShapeError
from render3d.estimators import SHARP, differentiable, expected_loss
from render3d.fitting.checkpoint import FitRecord
from render3d.fitting.identity import identity
from render3d.fitting.loop import Measured, Progress, check_renderer, run
from render3d.fitting.losses import PixelLoss, Weights
from render3d.fitting.optimiser import Adam
from render3d.fitting.preconditioner import SmoothCoordinates
from render3d.fitting.settings import TemplateFitSettings
from render3d.fitting.spheres import enclosing_sphere
from render3d.fitting.targets import named, prepared
from render3d.randomness import Key
from render3d.renderers.base import Renderer
from render3d.runs.identity import fingerprint
from render3d.scenes import Mesh
from render3d.view_sets import ViewSet

_DEFAULTS = TemplateFitSettings()


@final
@dataclasses.dataclass(frozen=True)
class TemplateFitResult(Measured):
    """What `fit_template` found.

    Attributes:
        mesh: The fitted mesh, with the faces and colours of the template.
        template: What it was deformed from.
        records: One for each update, in order.
    """

    mesh: Mesh
    template: Mesh
    records: tuple[FitRecord, ...]

    @property
    def scene(self) -> Mesh:
        """The mesh: what was fitted, as `VolumeFitResult.scene`."""
        return self.mesh


def fit_template(
    views: ViewSet,
    template: Mesh | None = None,
    renderer: Renderer | None = None,
    settings: TemplateFitSettings = _DEFAULTS,
    *,
    held_out: ViewSet | None = None,
    folder: Path | None = None,
    progress: Progress | None = None,
) -> TemplateFitResult:
    """Deform ``template`` until its silhouettes are those of ``views``, and what else the settings weigh.

    Steps are taken in smooth coordinates (`SmoothCoordinates`) by uniform `Adam`, against the squared difference of
    coverage; by an estimator, against the expected one of noisy meshes. Noise, and the updates, go from coarse to fine.

    Args:
        views: Silhouettes and cameras of one object, at least one view; and the images that the settings weigh.
        template: One mesh; its topology and its colours stay. By default the `enclosing_sphere` of the views.
        renderer: Any `Renderer` of meshes, black box or not; by default `render3d.renderers.OpenGL`.
        settings: Everything else.
        held_out: Views that are measured along the way and never fitted.
        folder: Made if it is not there, once nothing is missing. The fit is saved there every few seconds, at the end,
            and when it is interrupted; if it was begun there already, it goes on and ends where it would have ended
            without the stop, bit for bit on the same machine.
        progress: Called with the `FitRecord` of every update.

    Returns:
        A `TemplateFitResult`.

    Raises:
        CapabilityError: A renderer of volumes.
        FitError: Views that nothing can be learned from, a template that no camera sees, or a folder that cannot be
            written to, is of another fit, or holds a damaged checkpoint.
        KeyboardInterrupt: Passed on, after saving.
    """
    renderer = renderer or renderers.OpenGL()
    check_renderer(renderer, Mesh)
    settings = settings.chosen_for(renderer)
    weights = Weights(rgb=settings.rgb, depth=settings.depth, normal=settings.normal)
    views, held_out = prepared(views, held_out, settings.pixels, *weights.images)
    if template is None:
        template = enclosing_sphere(views).mesh(settings.subdivisions).to(views.alpha.device)
    elif template.batch_shape:
        raise ShapeError(f"template must be one mesh; got a batch of shape {list(template.batch_shape)}. Index it.")
    template = template.detach()
    task = _Task(views, held_out, template, renderer, settings, weights)
    task.check_visible()
    state, records = run(task, folder, progress)
    return TemplateFitResult(task.scene(state.parameters), template, tuple(records))


def radius_of(mesh: Mesh) -> float:
    """How far vertices are from the middle of their box, at most; scene units."""
    middle = (mesh.vertices.amin(0) + mesh.vertices.amax(0)) / 2
    return float((mesh.vertices - middle).norm(dim=-1).max())


@final
class _Task:
    """What stays the same from update to update; see `render3d.fitting.loop.FitProblem`."""

    def __init__(
        self,
        views: ViewSet,
        held_out: ViewSet | None,
        template: Mesh,
        renderer: Renderer,
        settings: TemplateFitSettings,
        weights: Weights,
    ) -> None:
        self.views, self.held_out, self.template = views, held_out, template
        self.renderer, self.settings = renderer, settings
        self.through = differentiable(renderer, settings.gradient) if settings.gradient in SHARP else None
        self.radius = radius_of(template)
        self.loss = PixelLoss(views, dataclasses.replace(weights, length=self.radius))
        self.coordinates = SmoothCoordinates(template.faces, len(template.vertices), settings.smoothness)

    @property
    def identity(self) -> dict[str, str]:
        """What must be the same for the fit to go on."""
        start = self.template if self.settings.rgb else self.template.without_colors()
        template = fingerprint(*(tensor for tensor, _ in start.inputs().values()), self.template.faces)
        return identity("mesh", vars(self.settings), self.renderer, self.views, self.held_out) | {"template": template}

    def start(self, count: int = 0) -> Adam:
        """The template, before any update."""
        return Adam.start(self.coordinates.from_vertices(self.template.vertices), uniform=True)

    def scene(self, parameters: Tensor) -> Mesh:
        """The deformed template."""
        return self.template.with_vertices(self.coordinates.to_vertices(parameters))

    @torch.enable_grad()
    def step(self, state: Adam) -> tuple[Adam, float]:
        """The state after one update, and the loss before it."""
        parameters = state.parameters.clone().requires_grad_()
        loss = self._loss_of(self.scene(parameters), state.count)
        loss.backward()  # type: ignore[no-untyped-call]
        assert parameters.grad is not None
        rate = self.settings.learning_rate_at(state.count) * self.radius
        return state.step(parameters.grad, rate), float(loss.detach())

    def _loss_of(self, mesh: Mesh, step: int) -> Tensor:
        cameras, outputs = self.views.cameras, self.loss.outputs
        if self.through is not None:
            return self.loss(self.through(mesh, cameras, outputs)).mean()
        estimator = self.settings.estimator_at(step)
        assert estimator is not None
        key = Key(self.settings.seed).fold_in(step)
        loss = expected_loss(self.renderer, mesh, cameras, self.loss, estimator, outputs=outputs, generator=key)
        return loss / self.views.alpha.numel()

    def check_visible(self) -> None:
        """Raise `FitError` if a view does not show the template: there would be no gradient from it."""
        depth = self.views.cameras.to_camera_space(self.template.vertices)[..., 2]
        pixels = self.views.cameras.project(self.template.vertices)
        height, width = self.views.cameras.image_size
        cameras: Cameras = self.views.cameras
        cut = (depth <= cameras.near) | (depth >= cameras.far)
        x, y = pixels.unbind(-1)
        # All of it beyond one border. That no vertex is in the image is not enough: a close-up may show one triangle.
        unseen = torch.stack([beyond | cut for beyond in (x < 0, x >= width, y < 0, y >= height)]).all(-1).any(0)
        if bool(unseen.any()):
            raise FitError(
                f"The template is out of the image in {named(self.views, unseen)} "
                f"({int(unseen.sum())} of {cameras.views} views). Check the poses (OpenCV: z forward), near and far, "
                "and the template's place and size; without a template, a sphere is placed by the silhouettes."
            )
