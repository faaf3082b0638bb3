"""Parts by name: short names for those of the package, ``module:Name`` for others; imported when asked for."""

import difflib
import importlib
import inspect
from collections.abc import Iterator, Mapping
from typing import Any, Generic, TypeVar, final

from render3d.errors import Render3DError

Part = TypeVar("Part")


@final
class Registry(Generic[Part]):
    """The parts of one kind, by name: one line each for those of the package, and no line for those of others.

    Args:
        kind: What such a part is called in messages, such as ``"renderer"``.
        places: ``"module:Name"`` of each part of the package, by its short name.
        base: What a part must be a subclass of, or None where any callable will do. Nothing that a file names is called
            before this is known.
        error: What is raised for a name that cannot be used.
    """

    def __init__(
        self, kind: str, places: Mapping[str, str], *, base: type | None = None, error: type[Render3DError]
    ) -> None:
        self.kind = kind
        self._places = dict(places)
        self._base = base
        self._error = error

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._places

    def load(self, name: str) -> Part:
        """Import a part.

        Args:
            name: A short name, in upper or lower case; or ``"module:Name"`` for a part from elsewhere, whose module is
                imported, and so its code is run.

        Raises:
            Render3DError: The ``error`` of the registry: no part has this name, its module cannot be imported, or it is
                not such a part.
        """
        place = self._places.get(name.lower(), name)
        module_name, colon, path = place.partition(":")
        if not colon:
            raise self._error(self._unknown(name))
        try:
            module = importlib.import_module(module_name)
        except (ImportError, TypeError, ValueError) as error:  # the latter two for no name, or a relative one
            raise self._error(
                f"The {self.kind} {name!r} is in a module that cannot be imported: {error}. It must be installed, or "
                "lie in a folder on PYTHONPATH."
            ) from error
        part: Any = module
        for step in path.split("."):
            part = getattr(part, step, None)
        if not callable(part):
            raise self._error(f"The module {module_name!r} has no {path!r} to be a {self.kind}.")
        if self._base is not None and not (inspect.isclass(part) and issubclass(part, self._base)):
            raise self._error(f"{name!r} is not a {self.kind}: it must be a subclass of {self._base.__name__}.")
        found: Part = part
        return found

    def name_of(self, part: object) -> str:
        """The ``"module:Name"`` of a class or a function, from which `load` finds it again."""
        return f"{part.__module__}:{part.__qualname__}"  # type: ignore[attr-defined]

    def short_name_of(self, part: object) -> str:
        """The short name of a part of the package; of others as `name_of`."""
        place = self.name_of(part)
        return next((name for name, known in self._places.items() if known == place), place)

    def _unknown(self, name: str) -> str:
        close = difflib.get_close_matches(name.lower(), self._places, n=1)
        meant = f" Did you mean {close[0]!r}?" if close else ""
        known = ", ".join(self._places)
        return f"There is no {self.kind} {name!r}.{meant} Known: {known}; or module:Name for one of your own."
