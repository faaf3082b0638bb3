"""``render3d compare``: the same scene, or the same fit, by several renderers."""

import contextlib
import functools
import itertools
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import tyro
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Column, Table

from render3d.cli.fit import Scene, check_flags, scene_of, split
from render3d.comparison import FitTask, SceneSettings, Step, compare_fits, compare_scene, labels_of
from render3d.errors import ComparisonError, FitError
from render3d.fitting import FitSettings, VolumeFitSettings
from render3d.renderers.registry import names_in
from render3d.renderers.table import ready_renderers
from render3d.scenes import Mesh
from render3d.scenes.files.opening import SUFFIXES, open_scene
from render3d.scenes.kind import SCENES
from render3d.view_sets import read_views

_SETTINGS: dict[Scene, FitSettings | VolumeFitSettings] = {"mesh": FitSettings(), "volume": VolumeFitSettings()}
_SCENE_SETTINGS = SceneSettings()
_PROG = "render3d compare"


def compare_by_words(words: Sequence[str]) -> int:
    """``render3d compare``, whose flags are those of what its first word is: a scene, or views to fit."""
    if not words or words[0] in ("-h", "--help"):
        return _help(0 if words else 2)
    if words[0].startswith("-"):
        raise ComparisonError(f"The first word is a mesh, a volume or views; got {words[0]}. Put flags after it.")
    if _names_a_class(words) or _is_scene(Path(words[0])):
        return tyro.cli(scene, prog=f"{_PROG} {words[0]}", args=words)
    return tyro.cli(_fits_of(words), prog=f"{_PROG} {words[0]}", args=words)


def scene(
    path: Annotated[Path, tyro.conf.Positional],
    /,
    *,
    out: Path,
    kind: Annotated[str | None, tyro.conf.arg(name="scene")] = None,
    renderers: str | None = None,
    resume: bool = False,
    as_json: Annotated[bool, tyro.conf.arg(name="json")] = False,
    settings: Annotated[SceneSettings, tyro.conf.arg(name="")] = _SCENE_SETTINGS,
) -> int:
    """Render one scene through several renderers, and show how far they are apart.

    Args:
        path: A mesh, or a volume; or a file that the class of --scene loads.
        out: The folder for the results.
        kind: The kind of scene: mesh, volume, or module:Class for one of your own. (default: by the suffix)
        renderers: Names with commas between; module:Class for one of your own. The others are compared with the first.
            By default all renderers of the package for such a scene; those that are not installed are listed.
        resume: Keep what the renderers in OUT have finished.
        as_json: Print the figures as JSON instead of a table.
        settings: How the scene is seen.
    """
    found = open_scene(path, kind)
    names = _names(renderers, SCENES.short_name_of(type(found)))
    console = Console(stderr=as_json)

    def tell(name: str) -> None:
        console.print(f"Rendering through {name}.", highlight=False)

    measures = compare_scene(out, found, names, settings, resume=resume, progress=tell)
    shown = {
        "IoU": ("iou", ".5f"),
        "differing pixels": ("differing_pixels", ",.0f"),
        "of boundary pixels": ("differing_share", ".2%"),
        "depth, largest": ("depth_largest", ".1e"),
        "depth, mean": ("depth_mean", ".1e"),
        "normals, degrees": ("normal_degrees", ".2f"),
        "colour, 99 %": ("rgb", ".4f"),
        "images/s": ("images_per_second", ",.1f"),
        "peak memory, MiB": ("peak_mib", ",.0f"),
    }
    return _print(measures, shown, out, as_json)


def fits(
    path: Annotated[Path, tyro.conf.Positional],
    /,
    *,
    out: Path,
    scene: Scene = "mesh",
    renderers: str | None = None,
    template: Path | None = None,
    format: str | None = None,
    hold_out: int | None = None,
    truth: Path | None = None,
    resume: bool = False,
    as_json: Annotated[bool, tyro.conf.arg(name="json")] = False,
    settings: Annotated[
        FitSettings | VolumeFitSettings, tyro.conf.arg(name=""), tyro.conf.AvoidSubcommands
    ] = _SETTINGS["mesh"],
) -> int:
    """Run one fit through several renderers, and show what comes of each.

    Args:
        path: A transforms.json, or the folder that holds one.
        out: The folder for the results; the fits are in folders of their own in it.
        scene: What is fitted. Each has flags of its own: --scene volume --help shows those of volumes.
        renderers: Names with commas between; module:Class for one of your own. The first one judges the fits of all,
            beside each its own. By default all renderers of the package; those that are not installed are listed.
        template: A mesh file to deform instead of a sphere.
        format: Of VIEWS, where it is not recognised: nerfstudio, r2n2; or module:Class for one of your own.
        hold_out: Views that are kept for measuring; by default one in five.
        truth: The mesh that the views show, where it is known, in the world of the cameras: fits are measured by their
            distance to it.
        resume: Go on with the fits that were stopped in OUT, and keep those that had finished.
        as_json: Print the figures as JSON instead of a table.
        settings: The fit itself.
    """
    if template and scene == "volume":
        raise FitError("--template is a mesh to deform, and --scene volume has none. Leave it out.")
    training, held_out = split(read_views(path, format), hold_out)
    task = FitTask(
        views=training,
        held_out=held_out,
        template=Mesh.load(template).merged() if template else None,
        settings=settings,
        truth=Mesh.load(truth) if truth else None,
    )
    console = Console(stderr=as_json)
    with _ProgressBars(settings.steps, console) as bars:
        measures = compare_fits(out, task, _names(renderers, scene), resume=resume, progress=bars.advance)
    by = "judged_training_iou" if held_out is None else "judged_held_out_iou"
    shown = {
        f"IoU by {measures['reference']}": (by, ".4f"),
        "IoU by its own": (by.removeprefix("judged_"), ".4f"),
        "training views": ("training_iou", ".4f"),
        "seconds": ("seconds", ".1f"),
        "images": ("images", ",.0f"),
        "peak memory, MiB": ("peak_mib", ",.0f"),
    }
    return _print(measures, shown, out, as_json)


def _is_scene(path: Path) -> bool:
    """Whether it is a mesh or a volume, or else views; by its name, so that nothing need be there yet."""
    suffix = path.suffix.lower()
    if suffix in SUFFIXES:
        return True
    if path.is_dir() or suffix == ".json":
        return False
    there = "" if path.exists() else ", which is not there"
    raise ComparisonError(
        f"The first word is a mesh or a volume ({', '.join(SUFFIXES)}), views to fit (a transforms.json, or the folder "
        f"of an object), or a file that the class of --scene module:Class loads; got {path}{there}."
    )


def _names_a_class(words: Sequence[str]) -> bool:
    """Whether ``--scene`` names a kind of scene from elsewhere."""
    given = [word.partition("=")[2] for word in words if word.startswith("--scene=")]
    given += [value for word, value in itertools.pairwise(words) if word == "--scene"]
    return any(":" in value for value in given)


def _fits_of(words: Sequence[str]) -> Callable[..., int]:
    """The command for fits, with the settings of the kind that ``--scene`` names."""
    kind = scene_of(words)
    check_flags(words, kind)
    return functools.partial(fits, settings=_SETTINGS[kind])


def _help(status: int) -> int:
    """Both kinds of comparison have flags of their own."""
    for function, what in ((scene, "MESH|VOLUME"), (fits, "VIEWS")):
        with contextlib.suppress(SystemExit):  # which tyro raises after its help
            tyro.cli(function, prog=f"{_PROG} {what}", args=["--help"])
    return status


def _names(given: str | None, kind: str) -> tuple[str, ...]:
    return ready_renderers(kind) if given is None else names_in(given)


class _ProgressBars:
    """A bar for each fit: steps, IoU and an estimate of the time that is left."""

    def __init__(self, steps: int, console: Console) -> None:
        columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[state]}"), TimeElapsedColumn())
        self._bars = Progress(
            TextColumn("{task.description}"), *columns, TextColumn("left"), TimeRemainingColumn(), console=console
        )
        self._steps, self._tasks, self._iou = steps, dict[str, TaskID](), "-"

    def __enter__(self) -> "_ProgressBars":
        self._bars.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._bars.stop()

    def advance(self, step: Step) -> None:
        """Show what one step of one fit gave."""
        name, record = step
        if name not in self._tasks:
            self._tasks[name], self._iou = self._bars.add_task(name, total=self._steps, state=""), "-"
        iou = record.training_iou if record.held_out_iou is None else record.held_out_iou
        self._iou = self._iou if iou is None else f"{iou:.3f}"
        self._bars.update(self._tasks[name], completed=record.step, state=f"IoU {self._iou}")


def _print(measures: dict[str, Any], shown: dict[str, tuple[str, str]], out: Path, as_json: bool) -> int:
    """Show the figures, and return the exit status: 1 if fewer than two renderers worked."""
    rows = measures["renderers"]
    status = 0 if sum(row["failure"] is None for row in rows.values()) > 1 else 1
    if as_json:
        print(json.dumps(measures))
        return status
    worked = {name: row for name, row in rows.items() if row["failure"] is None}
    labels = labels_of(list(rows))
    table = Table("", *(Column(labels[name], overflow="fold") for name in worked))
    for title, (key, style) in shown.items():
        table.add_row(title, *(_figure(row.get(key), style) for row in worked.values()))
    table.add_row("gradients of its own", *(", ".join(row["gradients"]) or "none" for row in worked.values()))
    table.add_row("licence", *(row["licence"] for row in worked.values()))
    console = Console()
    console.print(table)
    for name, row in rows.items():
        if row["failure"] is not None:
            console.print(f"{name} did not take part: {row['failure']}", highlight=False, markup=False)
    console.print(f"Report: {(out / 'report.html').resolve()}", soft_wrap=True, highlight=False)
    if status:
        Console(stderr=True).print("Fewer than two renderers worked: nothing was compared.")
    return status


def _figure(value: float | None, style: str) -> str:
    return "-" if value is None else format(value, style)
