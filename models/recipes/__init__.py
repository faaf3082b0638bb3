"""Recipes: Python functions that return a complete configuration.

Their keyword parameters are flags of ``train``, and where one is a dataclass of settings, so are its fields.
"""

from collections.abc import Callable

from render3d.errors import TrainingError
from render3d.models.base import Recipe, TrainSettings
from render3d.registry import Registry

__all__ = ["RECIPES", "Recipe", "TrainSettings"]

RECIPES: Registry[Callable[..., Recipe]] = Registry(
    "recipe",
    {
        "primitives": "render3d.models.recipes.volumes:primitives",
        "mnist3d": "render3d.models.recipes.volumes:mnist3d",
        "necker": "render3d.models.recipes.volumes:necker",
        "collection": "render3d.models.recipes.volumes:collection",
        "multiview": "render3d.models.recipes.depth:multiview",
        "meshes": "render3d.models.recipes.images:meshes",
    },
    error=TrainingError,
)
"""The recipes of the package, by the name that a command line takes."""
