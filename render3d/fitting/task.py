"""What is fitted: views, and how."""

import dataclasses
from pathlib import Path
from typing import final

from render3d.fitting.loop import Progress
from render3d.fitting.settings import Settings, TemplateFitSettings
from render3d.fitting.template_fit import TemplateFitResult, fit_template
from render3d.fitting.volume_fit import VolumeFitResult, fit_volume
from render3d.renderers.base import Renderer
from render3d.scenes import Mesh, Volume
from render3d.view_sets import ViewSet

_DEFAULTS = TemplateFitSettings()


@final
@dataclasses.dataclass(frozen=True)
class FitTask:
    """A fit of a mesh or of a volume, but for the renderer.

    Attributes:
        views: Silhouettes and cameras.
        held_out: Views for measuring only, or None.
        template: The mesh that is deformed, or None for a sphere; fits of volumes have none.
        settings: Those of a mesh or of a volume: they say which is fitted.
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
        return Mesh if isinstance(self.settings, TemplateFitSettings) else Volume

    @property
    def kind(self) -> str:
        """``"mesh"`` or ``"volume"``."""
        return self.scene.__name__.lower()

    def fit(
        self, renderer: Renderer, *, folder: Path | None = None, progress: Progress | None = None
    ) -> TemplateFitResult | VolumeFitResult:
        """Run `fit_template` or `fit_volume`, which see for the arguments and what is raised."""
        if isinstance(self.settings, TemplateFitSettings):
            start = self.views, self.template, renderer, self.settings
            return fit_template(*start, held_out=self.held_out, folder=folder, progress=progress)
        return fit_volume(self.views, renderer, self.settings, held_out=self.held_out, folder=folder, progress=progress)
