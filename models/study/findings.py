"""What is to be known of a trained model beside its bound: one file an experiment."""

from render3d.models.experiments import DepthViews, SingleImages, Volumes
from render3d.models.study import class_conditional, depth_views, single_images, view_conditional, volumes
from render3d.models.study.base import Findings as Findings
from render3d.models.training.run import Run


def findings(run: Run) -> Findings:
    """What there is to be found of a run, by its experiment; all on examples that it has not learnt from."""
    match run.recipe.experiment:
        case DepthViews():
            return depth_views.find(run)
        case SingleImages():
            return single_images.find(run)
        case Volumes(context="class"):
            return _joined(class_conditional.find(run), volumes.find(run))
        case Volumes(context="views"):
            return _joined(view_conditional.find(run), volumes.find(run))
        case _:
            return volumes.find(run)


def _joined(first: Findings, second: Findings) -> Findings:
    return Findings(first.figures | second.figures, first.sections + second.sections)
