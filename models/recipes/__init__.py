"""Recipes: Python functions that return a complete configuration.

Their keyword parameters are flags of ``train``, and where one is a dataclass of settings, so are its fields.
"""

import difflib
import importlib
from collections.abc import Callable

from render3d.errors import TrainingError
from render3d.models.recipes.depth import multiview
from render3d.models.recipes.images import meshes
from render3d.models.recipes.recipe import Recipe
from render3d.models.recipes.volumes import mnist3d, necker, primitives, shapes

RECIPES: dict[str, Callable[..., Recipe]] = {
    "primitives": primitives,
    "mnist3d": mnist3d,
    "necker": necker,
    "shapes": shapes,
    "multiview": multiview,
    "meshes": meshes,
}
"""The recipes of the package, by the name that a command line takes."""


def recipe_by_name(name: str) -> Callable[..., Recipe]:
    """A recipe of the package, or ``module:function`` for one of your own. The module is imported: its code is run.

    Raises:
        TrainingError: No such recipe, module or function.
    """
    module, colon, function = name.partition(":")
    if not colon:
        if name not in RECIPES:
            close = difflib.get_close_matches(name, RECIPES, n=1)
            meant = f" Did you mean {close[0]!r}?" if close else ""
            raise TrainingError(
                f"There is no recipe {name!r}.{meant} Known: {', '.join(RECIPES)}; or module:function for one of your "
                "own."
            )
        return RECIPES[name]
    try:
        found = getattr(importlib.import_module(module), function, None)
    except (ImportError, TypeError, ValueError) as error:
        raise TrainingError(f"The recipe {name!r} is in a module that cannot be imported: {error}.") from error
    if not callable(found):
        raise TrainingError(f"The module {module!r} has no function {function!r} to be a recipe.")
    recipe: Callable[..., Recipe] = found
    return recipe
