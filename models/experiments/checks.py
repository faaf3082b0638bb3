"""What experiments ask of their settings."""

from collections.abc import Collection
from typing import Literal, get_args, get_origin, get_type_hints

from render3d.errors import ModelError
from render3d.models.base import Experiment


def check_settings(experiment: Experiment, *, may_be_zero: Collection[str] = ()) -> None:
    """Raise `ModelError` for a whole number below one, and for a choice that there is not.

    Args:
        experiment: What is checked: its fields, by what they are declared to be.
        may_be_zero: Names of fields that are at least zero instead.
    """
    for name, kind in get_type_hints(type(experiment)).items():
        value, least = getattr(experiment, name), int(name not in may_be_zero)
        if kind is int and value < least:
            raise ModelError(f"{name} must be at least {least}; got {value}.")
        if get_origin(kind) is Literal and value not in get_args(kind):
            raise ModelError(f"{name} must be one of {', '.join(map(repr, get_args(kind)))}; got {value!r}.")
