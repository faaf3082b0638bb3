"""What a run is trained beside, to be compared with."""

import dataclasses

from render3d.models.experiments.volumes import Volumes
from render3d.models.recipes.recipe import Recipe


def baseline_of(recipe: Recipe) -> Recipe | None:
    """For volumes given views, the same without latents: as many updates of a network that can only be of one mind."""
    experiment = recipe.experiment
    if not isinstance(experiment, Volumes) or experiment.context != "views" or experiment.latents == 0:
        return None
    return dataclasses.replace(recipe, experiment=dataclasses.replace(experiment, latents=0))
