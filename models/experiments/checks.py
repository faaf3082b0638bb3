"""What experiments ask of their settings."""

from collections.abc import Collection
from typing import Literal, get_args, get_origin, get_type_hints

from render3d.errors import ModelError
from render3d.models.base import Experiment
from render3d.settings import check_at_least


def check_settings(experiment: Experiment, *, may_be_zero: Collection[str] = ()) -> None:
    """Raise `ModelError` for a whole number below one, and for a choice that there is not.

    Args:
        experiment: What is checked: its fields, by what they are declared to be.
        may_be_zero: Names of fields that are at least zero instead.
    """
    for name, kind in get_type_hints(type(experiment)).items():
        if kind is int:
            check_at_least(experiment, error=ModelError, **{name: int(name not in may_be_zero)})
        value = getattr(experiment, name)
        if get_origin(kind) is Literal and value not in get_args(kind):
            raise ModelError(f"{name} must be one of {', '.join(map(repr, get_args(kind)))}; got {value!r}.")
