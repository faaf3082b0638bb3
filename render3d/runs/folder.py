"""A folder of results: begun once, refused to other runs, and resumed by the same run only."""

import dataclasses
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, final

from render3d.atomic import write_json
from render3d.errors import Render3DError
from render3d.renderers.base import Renderer
from render3d.runs.identity import changes_between
from render3d.runs.provenance import provenance

CONFIG = "config.json"
CHECKPOINT = "checkpoint.safetensors"

_MOST_NAMED = 4  # another kind of scene changes all settings


class RunConfig(NamedTuple):
    """What ``config.json`` holds of a run, beside what it was made with.

    Attributes:
        command: That of `RunFolder`.
        settings: What was asked for, in the types of JSON.
        identity: What must be the same for the run to go on, as words by name.
    """

    command: str
    settings: dict[str, Any]
    identity: dict[str, str]


@final
@dataclasses.dataclass(frozen=True)
class RunFolder:
    """A folder in which a command keeps one run; ``config.json`` says of what.

    Attributes:
        path: The folder; `begin` makes it.
        command: What writes to it, such as ``"fit"``.
        error: What is raised.
    """

    path: Path
    command: str
    error: type[Render3DError]

    @property
    def is_begun(self) -> bool:
        """Whether it holds a run, finished or not. A checkpoint alone is one whose ``config.json`` is lost."""
        return (self.path / CONFIG).exists() or (self.path / CHECKPOINT).exists()

    def check_resume(self, resume: bool) -> None:
        """Raise unless there is a run to go on with, or, without ``resume``, none that would be overwritten."""
        if self.is_begun and not resume:
            raise self.error(f"{self.path} holds a run already. Go on with it by --resume, or write to another folder.")
        if resume and not self.is_begun:
            raise self.error(f"There is nothing to resume in {self.path}: it has no {CONFIG}. Start without --resume.")

    def begin(self, settings: Mapping[str, Any], identity: Mapping[str, str], renderer: Renderer | None = None) -> None:
        """Make the folder and write ``config.json``; where a run was begun already, check that it is the same.

        Call it once all is known that could be missing: from then on, the folder is taken.

        Args:
            settings: For people and for those who read the results, in the types of JSON.
            identity: What must be the same for the run to go on.
            renderer: Named among what the run was made with.

        Raises:
            Render3DError: The ``error`` of the folder: it holds another run, or cannot be written to.
        """
        if self.is_begun:
            was = self.read()
            self.check_same({"command": was.command} | was.identity, {"command": self.command, **identity})
            return
        content = RunConfig(self.command, dict(settings), dict(identity))._asdict()
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            write_json(self.path / CONFIG, content | {"made_with": provenance(renderer)})
        except OSError as error:
            raise self.error(
                f"Could not write to {self.path}: {os.strerror(error.errno or 0)}. Make room, or write to another "
                "folder."
            ) from error

    def read(self) -> RunConfig:
        """Return what the run was begun with.

        Raises:
            Render3DError: The ``error`` of the folder: there is no ``config.json``, or what is there is something else.
        """
        path = self.path / CONFIG
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            config = RunConfig(str(content["command"]), dict(content["settings"]), dict(content["identity"]))
        except FileNotFoundError:
            raise self.error(
                f"{self.path} holds no run: it has no {CONFIG}, which render3d {self.command} writes. Take another "
                "folder."
            ) from None
        except (OSError, KeyError, TypeError, ValueError, RecursionError) as error:
            raise self.error(
                f"{path} is damaged, or of another version ({error!r}). Put it back, or take another folder."
            ) from error
        return config

    def check_same(self, was: Mapping[str, str], now: Mapping[str, str]) -> None:
        """Raise for an identity that is not what it was, and say what changed."""
        changes = changes_between(was, now)
        if changes:
            more = f"; and {len(changes) - _MOST_NAMED} more" if len(changes) > _MOST_NAMED else ""
            raise self.error(
                f"Cannot go on in {self.path}, which holds another run: {'; '.join(changes[:_MOST_NAMED])}{more}. "
                "Resume with what it was started with, or write to another folder."
            )
