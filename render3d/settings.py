"""Settings, frozen dataclasses, as JSON and back: for files of configurations, and as words by name."""

import dataclasses
import inspect
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, final, get_args, get_origin, get_type_hints

from render3d.errors import Render3DError
from render3d.registry import Registry

CLASS = "class"
"""The key under which settings that may be of several kinds name theirs, as ``"module:Class"``."""

_Settings = TypeVar("_Settings")

_PLAIN = (bool, int, float, str, types.NoneType)


def settings_to_json(settings: object) -> dict[str, Any]:
    """Return what `settings_from_json` makes the same settings from again, in the types of JSON.

    Settings inside settings carry their `CLASS` where the field does not tell it: where it is declared to be of a base
    class or of one of several.

    Raises:
        TypeError: A value that JSON cannot hold, such as a tensor.
    """
    kinds = get_type_hints(type(settings))
    return {name: _plain(getattr(settings, name), kinds[name], name) for name in _fields(type(settings))}


def settings_from_json(
    kind: type[_Settings], values: object, *, what: str = "settings", error: type[Render3DError]
) -> _Settings:
    """Make settings from what `settings_to_json` gave.

    A class that ``values`` names is imported, and is called only if it is a dataclass of the kind that its field is
    declared to be.

    Args:
        kind: The class of the settings, or a base class of it.
        values: What a file holds.
        what: What they are called in messages.
        error: What is raised.

    Raises:
        Render3DError: ``error``: a setting that is missing, unknown, of a wrong type or of a wrong class; or what the
            class of the settings raises.
    """
    made: _Settings = _Reader(error).settings(kind, values, what)
    return made


def check_at_least(settings: object, *, error: type[Exception] = ValueError, **least: float) -> None:
    """Raise ``error`` for settings, given by name, that are below their least value."""
    for name, bound in least.items():
        if getattr(settings, name) < bound:
            raise error(f"{name} must be at least {bound}; got {getattr(settings, name)}.")


def facts_of(values: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Every value of nested JSON as text, by its full name such as ``"experiment.steps"``."""
    facts = dict[str, str]()
    for name, value in values.items():
        facts |= facts_of(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": str(value)}
    return facts


def _fields(kind: type) -> tuple[str, ...]:
    return tuple(field.name for field in dataclasses.fields(kind) if field.init)


def _plain(value: Any, kind: Any, name: str) -> Any:
    if dataclasses.is_dataclass(value):
        named = {} if type(value) is kind else {CLASS: f"{type(value).__module__}:{type(value).__qualname__}"}
        return named | settings_to_json(value)
    if isinstance(value, Mapping):
        return {key: _plain(item, Any, f"{name}.{key}") for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, of, name) for item, of in zip(value, _kinds_of_items(kind, len(value)), strict=True)]
    if isinstance(value, Path):
        return str(value)
    if not isinstance(value, _PLAIN):
        raise TypeError(f"{name} is a {type(value).__name__}, which settings in a file cannot hold.")
    return value


def _kinds_of_items(kind: Any, count: int) -> tuple[Any, ...]:
    """What the items of a tuple of this kind are declared to be."""
    kinds = get_args(kind)
    if len(kinds) == 2 and kinds[1] is Ellipsis:
        return (kinds[0],) * count
    return kinds if len(kinds) == count else (Any,) * count


@final
@dataclasses.dataclass(frozen=True)
class _Reader:
    """Makes values of the kinds that fields are declared to be."""

    error: type[Render3DError]

    def settings(self, kind: Any, values: object, name: str) -> Any:
        """A dataclass of this kind, from its fields by name."""
        if not isinstance(values, Mapping):
            raise self.error(f"{name} must be settings by name; got {values!r}.")
        found = self._class(kind, values.get(CLASS), name)
        given = {key: value for key, value in values.items() if key != CLASS}
        wanted, kinds = _fields(found), get_type_hints(found)
        wrong = [f"lacks {key!r}" for key in wanted if key not in given]
        wrong += [f"has {key!r}, which {found.__name__} does not know" for key in given if key not in wanted]
        if wrong:
            raise self.error(f"{name} {' and '.join(wrong)}: it is damaged, or of another version.")
        made = {key: self.value(kinds[key], value, f"{name}.{key}") for key, value in given.items()}
        try:
            return found(**made)
        except Render3DError:
            raise
        except (TypeError, ValueError) as error:
            raise self.error(f"{name} cannot be made: {error}") from error

    def _class(self, kind: Any, place: object, name: str) -> Any:
        found = kind
        if place is not None:
            found = Registry[Any](f"class for {name}", {}, base=kind, error=self.error).load(str(place))
        if inspect.isabstract(found) or not dataclasses.is_dataclass(found):
            raise self.error(f"{name} must name a dataclass, as {CLASS!r}: 'module:Class'; got {place!r}.")
        return found

    def value(self, kind: Any, value: Any, name: str) -> Any:
        """A value of any kind that a field may be declared to be."""
        if kind is Any:
            return value
        if get_origin(kind) in (Union, types.UnionType):
            return self._one_of(get_args(kind), value, name)
        if kind is Path and isinstance(value, str):
            return Path(value)
        if get_origin(kind) is tuple and isinstance(value, list):
            return self._tuple(kind, value, name)
        if inspect.isclass(kind) and get_origin(kind) is None and kind not in (*_PLAIN, Path):
            return self.settings(kind, value, name)
        if not _fits(value, kind):
            wanted = kind.__name__ if isinstance(kind, type) else str(kind).removeprefix("typing.")
            raise self.error(f"{name} must be {wanted}; got {value!r}.")
        return value

    def _one_of(self, kinds: tuple[Any, ...], value: Any, name: str) -> Any:
        causes = []
        for kind in kinds:
            try:
                return self.value(kind, value, name)
            except self.error as error:
                causes.append(str(error))
        raise self.error(" ".join(causes))

    def _tuple(self, kind: Any, values: list[Any], name: str) -> tuple[Any, ...]:
        kinds = get_args(kind)
        if Ellipsis not in kinds and len(kinds) != len(values):
            raise self.error(f"{name} must be {len(kinds)} values; got {values!r}.")
        items = zip(_kinds_of_items(kind, len(values)), values, strict=True)
        return tuple(self.value(of, value, name) for of, value in items)


def _fits(value: Any, kind: Any) -> bool:
    if get_origin(kind) is Literal:
        return value in get_args(kind)
    if kind is float:  # JSON writes whole ones without a point
        return type(value) in (int, float)
    return isinstance(value, get_origin(kind) or kind) and (kind is bool or not isinstance(value, bool))
