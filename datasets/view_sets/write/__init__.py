"""Images of collections of meshes: made in worker processes, one object at a time, and kept whole or not at all."""

from typing import TYPE_CHECKING

from render3d.lazy import lazy

if TYPE_CHECKING:
    from render3d.datasets.view_sets.write.dry_run import Preview as Preview
    from render3d.datasets.view_sets.write.dry_run import preview as preview
    from render3d.datasets.view_sets.write.engine import Engine as Engine
    from render3d.datasets.view_sets.write.engine import Failed as Failed
    from render3d.datasets.view_sets.write.engine import Finished as Finished
    from render3d.datasets.view_sets.write.engine import Job as Job
    from render3d.datasets.view_sets.write.engine import Limits as Limits
    from render3d.datasets.view_sets.write.engine import Outcome as Outcome
    from render3d.datasets.view_sets.write.failures import Failure as Failure
    from render3d.datasets.view_sets.write.job import RenderedObject as RenderedObject
    from render3d.datasets.view_sets.write.job import RenderObject as RenderObject
    from render3d.datasets.view_sets.write.local import LocalEngine as LocalEngine
    from render3d.datasets.view_sets.write.problems import Problem as Problem
    from render3d.datasets.view_sets.write.protocols import PROTOCOLS as PROTOCOLS
    from render3d.datasets.view_sets.write.protocols import CameraProtocol as CameraProtocol
    from render3d.datasets.view_sets.write.protocols import Given as Given
    from render3d.datasets.view_sets.write.protocols import Orbit as Orbit
    from render3d.datasets.view_sets.write.protocols import R2N2Cameras as R2N2Cameras
    from render3d.datasets.view_sets.write.protocols import Random as Random
    from render3d.datasets.view_sets.write.protocols import Sphere as Sphere
    from render3d.datasets.view_sets.write.ray import RayEngine as RayEngine
    from render3d.datasets.view_sets.write.result import ViewsResult as ViewsResult
    from render3d.datasets.view_sets.write.run import Advance as Advance
    from render3d.datasets.view_sets.write.run import generate as generate
    from render3d.datasets.view_sets.write.settings import ViewsSettings as ViewsSettings

_HOMES = {
    "engine": ("Engine", "Failed", "Finished", "Job", "Limits", "Outcome"),
    "failures": ("Failure",),
    "job": ("RenderObject", "RenderedObject"),
    "local": ("LocalEngine",),
    "dry_run": ("Preview", "preview"),
    "problems": ("Problem",),
    "protocols": ("PROTOCOLS", "CameraProtocol", "Given", "Orbit", "R2N2Cameras", "Random", "Sphere"),
    "ray": ("RayEngine",),
    "result": ("ViewsResult",),
    "run": ("Advance", "generate"),
    "settings": ("ViewsSettings",),
}

__getattr__, __dir__, __all__ = lazy(__name__, _HOMES)
