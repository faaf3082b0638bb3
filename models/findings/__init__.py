"""What is to be known of a trained model beside its bound: one file an experiment."""

from render3d.models.experiments import Volumes
from render3d.models.findings import class_conditional, view_conditional, volumes
from render3d.models.findings.base import Findings as Findings
from render3d.models.run import Run


def findings(run: Run) -> Findings:
    """What there is to be found of a run, by its experiment; all on examples that it has not learnt from."""
    found = [volumes.find(run)]
    match run.recipe.experiment:
        case Volumes(context="class"):
            found.insert(0, class_conditional.find(run))
        case Volumes(context="views"):
            found.insert(0, view_conditional.find(run))
    figures = {name: value for one in found for name, value in one.figures.items()}
    return Findings(figures, tuple(section for one in found for section in one.sections))
