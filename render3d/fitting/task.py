"""What is fitted: views, and how."""

import contextlib
import dataclasses
from pathlib import Path
from typing import Self, final

from render3d.errors import CapabilityError
from render3d.fitting import remarks
from render3d.fitting.fit import FitResult, fit
from render3d.fitting.loop import Progress
from render3d.fitting.settings import FitSettings, Settings, TemplateFitSettings, VolumeFitSettings
from render3d.fitting.template_fit import TemplateFitResult, fit_template
from render3d.fitting.volume_fit import VolumeFitResult, fit_volume
from render3d.renderers import Renderer, Shading, make_renderer
from render3d.scenes import Mesh, Volume
from render3d.view_sets import ViewSet

_DEFAULTS = FitSettings()


@final
@dataclasses.dataclass(frozen=True)
class FitTask:
    """A fit of a mesh or of a volume, but for the renderer.

    Attributes:
        views: Silhouettes and cameras.
        held_out: Views for measuring only, or None.
        template: The mesh that is deformed by `TemplateFitSettings`, or None for a sphere; other fits have none.
        settings: They say what is fitted, and how: `FitSettings`, `TemplateFitSettings` or `VolumeFitSettings`.
        truth: The mesh that the views show, in the world of their cameras, where it is known.
    """

    views: ViewSet
    held_out: ViewSet | None = None
    template: Mesh | None = None
    settings: Settings = _DEFAULTS
    truth: Mesh | None = None

    @property
    def scene(self) -> type[Mesh] | type[Volume]:
        """The class of what is fitted."""
        return Volume if isinstance(self.settings, VolumeFitSettings) else Mesh

    @property
    def kind(self) -> str:
        """``"mesh"`` or ``"volume"``."""
        return self.scene.__name__.lower()

    def without_empty(self) -> tuple[Self, list[str]]:
        """The task without the views that `fit` leaves out, as their masks are empty, and remarks on them."""
        if not isinstance(self.settings, FitSettings):
            return self, []
        views, held_out, found = remarks.without_empty(self.views, self.held_out)
        return dataclasses.replace(self, views=views, held_out=held_out), found

    def fit(
        self, renderer: Renderer, *, folder: Path | None = None, progress: Progress | None = None
    ) -> FitResult | TemplateFitResult | VolumeFitResult:
        """Run `fit`, `fit_template` or `fit_volume`, which see for the arguments and what is raised."""
        views, held_out, settings = self.views, self.held_out, self.settings
        match settings:
            case FitSettings():
                return fit(views, renderer, settings, held_out=held_out, folder=folder, progress=progress)
            case TemplateFitSettings():
                start = views, self.template, renderer, settings
                return fit_template(*start, held_out=held_out, folder=folder, progress=progress)
            case VolumeFitSettings():
                return fit_volume(views, renderer, settings, held_out=held_out, folder=folder, progress=progress)


def renderer_for(name: str, settings: Settings) -> Renderer:
    """The renderer of a name: for fits to photographs without lights."""
    return unlit_renderer(name) if isinstance(settings, FitSettings) else make_renderer(name)


def unlit_renderer(name: str) -> Renderer:
    """The renderer of a name, without lights, if it takes a shading."""
    with contextlib.suppress(CapabilityError):
        return make_renderer(name, Shading.unlit())
    return make_renderer(name)
