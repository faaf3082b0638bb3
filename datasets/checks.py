"""Names of splits, and checks of settings: what also workers need, which may do without torch."""

import math
from typing import Literal, get_args

from render3d.errors import DatasetError

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)


def check_at_least(least: float, **values: float) -> None:
    """Raise `DatasetError` for values, given by name, below ``least`` or not finite."""
    for name, value in values.items():
        if not (math.isfinite(value) and value >= least):
            raise DatasetError(f"{name} must be at least {least}, and finite; got {value}.")


def check_seed(seed: int) -> None:
    """Raise `DatasetError` for a seed that is not from 0 to 2**63 - 1."""
    if not 0 <= seed < 2**63:
        raise DatasetError(f"seed must be from 0 to 2**63 - 1; got {seed}.")


def check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    """Raise `DatasetError` for a value that is not one of the choices."""
    if value not in choices:
        raise DatasetError(f"{name} must be one of {', '.join(map(repr, choices))}; got {value!r}.")


def check_range(low: float, high: float, **ranges: tuple[float, float]) -> None:
    """Raise `DatasetError` for ranges, given by name, that do not ascend from above ``low`` to at most ``high``."""
    for name, (first, last) in ranges.items():
        if not low < first <= last <= high:
            raise DatasetError(
                f"{name} must be (least, most), above {low} and up to {high}; got {(first, last)}. Swap or narrow them."
            )
