"""Objects of the JSON of a glTF file, and what they hold, checked: errors name the place in the file."""

import dataclasses
import sys
from collections.abc import Sequence
from typing import Any, NoReturn, final

import numpy as np

from render3d.errors import MeshError
from render3d.scenes.files.raw import Floats


@final
@dataclasses.dataclass(frozen=True)
class Entry:
    """An object of the JSON, and where it stands, such as ``meshes[0].primitives[1]``.

    Each method returns what stands under ``key``. A default is returned where there is nothing, or null.

    Raises:
        MeshError: The value is of another type than the specification demands, or is missing and has no default.
    """

    values: dict[str, Any]
    where: str

    def has(self, key: str) -> bool:
        """Whether anything but null stands there."""
        return self.values.get(key) is not None

    def integer(self, key: str, default: int | None = None) -> int:
        """An integer that is not negative: an index, a count, an offset or a code."""
        value = self._value(key, default)
        return int(value) if _is_index(value) else self._refuse(key, value, "an integer of at least 0")

    def number(self, key: str, default: float) -> float:
        """A finite number."""
        value = self._value(key, default)
        return float(value) if _is_finite(value) else self._refuse(key, value, "a finite number")

    def vector(self, key: str, default: Sequence[float]) -> Floats:
        """As many finite numbers as ``default`` has."""
        value = self._value(key, default)
        if not _all_finite(value) or len(value) != len(default):
            self._refuse(key, value, f"{len(default)} finite numbers")
        return np.array(value, dtype=np.float64)

    def numbers(self, key: str) -> list[float]:
        """Finite numbers, as many as there are."""
        value = self._value(key, ())
        return list(value) if _all_finite(value) else self._refuse(key, value, "a list of finite numbers")

    def integers(self, key: str) -> list[int]:
        """Integers that are not negative, as many as there are."""
        value = self._value(key, ())
        if not isinstance(value, (list, tuple)) or not all(map(_is_index, value)):
            self._refuse(key, value, "a list of integers of at least 0")
        return list(value)

    def text(self, key: str, default: str) -> str:
        """A string."""
        value = self._value(key, default)
        return value if isinstance(value, str) else self._refuse(key, value, "a string")

    def texts(self, key: str) -> list[str]:
        """Strings, as many as there are."""
        value = self._value(key, ())
        if not isinstance(value, (list, tuple)) or not all(isinstance(each, str) for each in value):
            self._refuse(key, value, "a list of strings")
        return list(value)

    def entry(self, key: str) -> "Entry":
        """An object; one without members where there is none."""
        value = self._value(key, {})
        return Entry(value, self._at(key)) if isinstance(value, dict) else self._refuse(key, value, "an object")

    def entries(self, key: str) -> "list[Entry]":
        """Objects, as many as there are."""
        value = self._value(key, ())
        if not isinstance(value, (list, tuple)) or not all(isinstance(each, dict) for each in value):
            self._refuse(key, value, "a list of objects")
        return [Entry(each, f"{self._at(key)}[{index}]") for index, each in enumerate(value)]

    def extension(self, *names: str) -> "Entry | None":
        """The object of the first of these extensions that is there, or None."""
        extensions = self.entry("extensions")
        return next((extensions.entry(name) for name in names if extensions.has(name)), None)

    def _at(self, key: str) -> str:
        return f"{self.where}.{key}" if self.where else key

    def _value(self, key: str, default: Any) -> Any:
        value = self.values.get(key)
        if value is not None:
            return value
        return self._refuse(key, None, "given") if default is None else default

    def _refuse(self, key: str, value: Any, expected: str) -> NoReturn:
        raise MeshError(f"{self._at(key)} must be {expected}; got {repr(value)[:40]}")


def _is_index(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_finite(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def _all_finite(values: Any) -> bool:
    return isinstance(values, (list, tuple)) and all(map(_is_finite, values))
