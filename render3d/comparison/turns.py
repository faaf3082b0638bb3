"""Each renderer has its turn, and what one does to itself does nothing to the others."""

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, final

from render3d.atomic import write_json, write_text
from render3d.comparison.facts import RendererFacts, folder_name, labels_of
from render3d.errors import ComparisonError, Render3DError
from render3d.renderers import Renderer, make_renderer
from render3d.runs.folder import RunFolder

_DONE = "facts.json"  # comes last: where it is, the turn was finished

Figures = Mapping[str, float | None]
Summary = dict[str, Any]
"""What ``metrics.json`` holds; see `summary`."""
Work = Callable[[Renderer, str, Path], Figures]
"""What a renderer is to do, given it, its name and a folder of its own that may not be there yet."""


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class Turn:
    """What came of one renderer.

    Attributes:
        name: What it was asked for by.
        label: What it is called on pages.
        folder: Its own.
        facts: What stands behind it; None if it failed.
        figures: What was measured while it worked.
        failure: Why there is nothing, or None if all went well.
    """

    name: str
    label: str
    folder: Path
    facts: RendererFacts | None = None
    figures: Figures = dataclasses.field(default_factory=dict)
    failure: str | None = None

    @property
    def worked(self) -> bool:
        """Whether it has finished."""
        return self.failure is None


def check_names(names: Sequence[str]) -> None:
    """Raise `ComparisonError` unless these are two renderers at least, each once."""
    if len(names) < 2:
        raise ComparisonError(
            f"names must be two renderers at least; got {', '.join(names) or 'none'}. The first is what the others are "
            "compared with."
        )
    folders = [folder_name(name) for name in names]
    twice = [name for name, folder in zip(names, folders, strict=True) if folders.count(folder) > 1]
    if twice:
        raise ComparisonError(f"names must hold each renderer once; got {', '.join(twice)}.")


def begin(
    out: Path, settings: Mapping[str, Any], identity: Mapping[str, str], names: Sequence[str], *, resume: bool
) -> None:
    """Make the folder and write its ``config.json``, or make sure that it is of the same comparison.

    ``identity`` is all that decides the results but the renderers: those may change, and results of the others stay.

    Raises:
        ComparisonError: Another comparison, one at all without ``resume``, or none with it; or no renderer of these
            names can be made.
    """
    folder = RunFolder(out, "compare", ComparisonError)
    folder.check_resume(resume)
    if not folder.is_begun:
        _check_one_can_be_made(names)
    folder.begin(settings, identity)


def _check_one_can_be_made(names: Sequence[str]) -> None:
    failures = []
    for name in names:
        try:
            make_renderer(name)
        except Exception as error:  # of libraries and of classes that nobody here has seen
            failures.append(f"{name}: {_words(error)}")
        else:
            return
    raise ComparisonError(f"None of the renderers can be made. {' '.join(failures)}")


def _words(error: Exception) -> str:
    kind = "" if isinstance(error, Render3DError) else f"{type(error).__name__}: "
    return kind + " ".join(str(error).split())


def take_turns(
    out: Path,
    names: Sequence[str],
    work: Work,
    progress: Callable[[str], None] | None = None,
    *,
    make: Callable[[str], Renderer] = make_renderer,
) -> tuple[list[Turn], bool]:
    """Let each renderer work, unless it has finished before, and say whether ctrl-C stopped that.

    Whatever a renderer raises is why it failed; the others go on.

    Args:
        out: Where the folders of the renderers are.
        names: Of the renderers.
        work: What each is to do.
        progress: Called with the name of each whose turn it is.
        make: Returns the renderer of a name.
    """
    begun = [Turn(name=name, label=label, folder=out / folder_name(name)) for name, label in labels_of(names).items()]
    turns: list[Turn] = []
    try:
        for turn in begun:
            done = _finished(turn)
            if done is None:
                if progress:
                    progress(turn.name)
                done = _worked(turn, work, make)
            turns.append(done)
    except KeyboardInterrupt:
        stopped = "stopped before it had finished"
        return turns + [dataclasses.replace(turn, failure=stopped) for turn in begun[len(turns) :]], True
    return turns, False


def _worked(turn: Turn, work: Work, make: Callable[[str], Renderer]) -> Turn:
    """What comes of letting a renderer work."""
    try:
        renderer = make(turn.name)
        figures = work(renderer, turn.name, turn.folder)
        facts = RendererFacts.of(turn.name, renderer)
        turn.folder.mkdir(parents=True, exist_ok=True)
        write_json(turn.folder / _DONE, {"facts": dataclasses.asdict(facts), "figures": dict(figures)})
    except Exception as error:  # of libraries and of classes that nobody here has seen
        return dataclasses.replace(turn, failure=_words(error))
    return dataclasses.replace(turn, facts=facts, figures=figures)


def _finished(turn: Turn) -> Turn | None:
    """What an earlier run has finished."""
    path = turn.folder / _DONE
    if not path.exists():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        kept: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in content["facts"].items()
        }
        return dataclasses.replace(turn, facts=RendererFacts(**kept), figures=content["figures"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ComparisonError(f"{path} is damaged ({error}). Remove {turn.folder} to run {turn.name} again.") from error


def summary(turns: Sequence[Turn], compared: Mapping[str, Figures]) -> Summary:
    """What ``metrics.json`` holds.

    ``reference`` is the name of the first renderer that worked, or None, and ``renderers`` holds all of them by name:
    ``failure``, None or why there is nothing else; the attributes of `RendererFacts`; what was measured while it
    worked, and ``compared``, by its label, afterwards.
    """
    rows: dict[str, dict[str, Any]] = {}
    for turn in turns:
        rows[turn.name] = {"failure": turn.failure}
        if turn.facts:
            rows[turn.name] |= dataclasses.asdict(turn.facts) | dict(turn.figures) | dict(compared.get(turn.label, {}))
    return {"reference": next((turn.name for turn in turns if turn.worked), None), "renderers": rows}


def finish(out: Path, turns: Sequence[Turn], compared: Mapping[str, Figures], page: str, *, stopped: bool) -> Summary:
    """Write ``metrics.json`` and ``report.html``, and return what the former holds.

    Raises:
        KeyboardInterrupt: ``stopped``; its message says what ctrl-C leaves, and how to go on.
    """
    found = summary(turns, compared)
    write_json(out / "metrics.json", found)
    write_text(out / "report.html", page)
    if stopped:
        finished = ", ".join(turn.name for turn in turns if turn.worked)
        raise KeyboardInterrupt(
            f"stopped; {finished or 'no renderer'} had finished, and {out / 'report.html'} shows that. Go on by the "
            "same command with --resume."
        )
    return found
