"""``render3d fit``: a mesh or a volume from posed images."""

import dataclasses
import functools
import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import tyro
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from render3d.errors import FitError
from render3d.fitting import FitRecord, FitSettings, Measure, VolumeFitSettings, fit_to_folder, fit_volume_to_folder
from render3d.renderers import make_renderer
from render3d.renderers.table import RENDERER_HELP
from render3d.scenes import Mesh
from render3d.view_sets import ViewSet, read_views

Scene = Literal["mesh", "volume"]

_RENDERER = f"What to fit through, {RENDERER_HELP}; or module:Class for one of your own."
_SETTINGS: dict[Scene, type[FitSettings] | type[VolumeFitSettings]] = {"mesh": FitSettings, "volume": VolumeFitSettings}
_RENDERERS: dict[Scene, str] = {"mesh": "opengl", "volume": "emissionabsorption"}
_DEFAULTS = FitSettings()


def fit_by_words(words: Sequence[str]) -> int:
    """``render3d fit``, whose flags are those of the kind of scene that ``--scene`` names."""
    scene = scene_of(words)
    check_flags(words, scene)
    function = functools.partial(fit, renderer=_RENDERERS[scene], settings=_SETTINGS[scene]())
    return tyro.cli(function, prog="render3d fit", args=words)


def fit(
    views: Annotated[Path, tyro.conf.Positional],
    /,
    *,
    out: Path,
    scene: Scene = "mesh",
    renderer: Annotated[str, tyro.conf.arg(help=_RENDERER)] = "opengl",
    template: Path | None = None,
    format: str | None = None,
    hold_out: int | None = None,
    resume: bool = False,
    as_json: Annotated[bool, tyro.conf.arg(name="json")] = False,
    settings: Annotated[
        FitSettings | VolumeFitSettings, tyro.conf.arg(name=""), tyro.conf.AvoidSubcommands
    ] = _DEFAULTS,
) -> int:
    """Find a mesh, or a volume, whose silhouettes are those of posed images.

    Writes mesh.glb, mesh.obj, metrics.json, config.json and report.html; of a volume, volume.npz as well.

    Args:
        views: A transforms.json, or the folder of an object in any format of view sets.
        out: The folder for the results.
        scene: What is fitted. Each has flags of its own: --scene volume --help shows those of volumes.
        renderer: The renderer to fit through; the help lists their names.
        template: A mesh file to deform instead of a sphere.
        format: Of VIEWS, where it is not recognised: nerfstudio, r2n2; or module:Class for one of your own.
        hold_out: Views that are kept for measuring; by default one in five.
        resume: Go on with the fit that was stopped in OUT.
        as_json: Print the measures as JSON instead of a table.
        settings: The fit itself.
    """
    if not isinstance(settings, _SETTINGS[scene]):
        raise ValueError(f"settings of a {scene} must be {_SETTINGS[scene].__name__}; got {type(settings).__name__}.")
    if template and scene == "volume":
        raise FitError("--template is a mesh to deform, and --scene volume has none. Leave it out.")
    through = make_renderer(renderer)
    posed = read_views(views, format)
    training, held_out = split(posed, hold_out)
    console = Console(stderr=as_json)
    count = f"{len(training)} views, {0 if held_out is None else len(held_out)} held out"
    console.print(f"Fitting through {through.capabilities.name} to {count}.", highlight=False)
    with _ProgressBar(settings.steps, console) as bar:
        try:
            if isinstance(settings, VolumeFitSettings):
                measures = fit_volume_to_folder(
                    out, training, held_out, through, settings, resume=resume, progress=bar.advance
                )
            else:
                start = Mesh.load(template).merged() if template else None
                measures = fit_to_folder(
                    out, training, held_out, start, through, settings, resume=resume, progress=bar.advance
                )
        except KeyboardInterrupt:
            raise KeyboardInterrupt(
                f"stopped after step {bar.step} of {settings.steps}; nothing is lost. Go on by the same command with "
                "--resume."
            ) from None
    _print(measures, out, as_json)
    return 0


def scene_of(words: Sequence[str]) -> Scene:
    """What ``--scene`` says; a value that is none is left for the parser to refuse."""
    given = [word.partition("=")[2] for word in words if word.startswith("--scene=")]
    given += [value for word, value in itertools.pairwise(words) if word == "--scene"]
    return "volume" if "volume" in given else "mesh"


def check_flags(words: Sequence[str], scene: Scene) -> None:
    """Raise `FitError` for a setting that only the other kind of scene has."""
    flags = {
        kind: {"--" + field.name.replace("_", "-") for field in dataclasses.fields(settings)}
        for kind, settings in _SETTINGS.items()
    }
    other: Scene = "mesh" if scene == "volume" else "volume"
    for word in words:
        flag = word.partition("=")[0].replace("_", "-")
        if flag in flags[other] - flags[scene]:
            raise FitError(
                f"{flag} is a flag of --scene {other}; got --scene {scene}. render3d fit --scene {scene} --help lists "
                "its flags."
            )


def split(views: ViewSet, hold_out: int | None) -> tuple[ViewSet, ViewSet | None]:
    """The views to fit and those that ``--hold-out`` keeps for measuring, by default one in five."""
    count = len(views) // 5 if hold_out is None else hold_out
    if count == 0:
        return views, None
    if not 0 < count < len(views):
        raise FitError(f"--hold-out must leave views to fit: 0 to {len(views) - 1} of these {len(views)}; got {count}.")
    return views.split(count)


class _ProgressBar:
    """Steps, loss, IoU and an estimate of the time that is left."""

    def __init__(self, steps: int, console: Console) -> None:
        self.step = 0
        self._iou = "-"
        columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[state]}"), TimeElapsedColumn())
        self._bar = Progress(TextColumn("fit"), *columns, TextColumn("left"), TimeRemainingColumn(), console=console)
        self._task = self._bar.add_task("fit", total=steps, state="")

    def __enter__(self) -> "_ProgressBar":
        self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.stop()

    def advance(self, record: FitRecord) -> None:
        """Show what one step gave."""
        self.step = record.step
        iou = record.training_iou if record.held_out_iou is None else record.held_out_iou
        self._iou = self._iou if iou is None else f"{iou:.3f}"
        self._bar.update(self._task, completed=record.step, state=f"loss {record.loss:.4f}  IoU {self._iou}")


def _print(measures: dict[str, Measure], out: Path, as_json: bool) -> None:
    if as_json:
        print(json.dumps({name: dataclasses.asdict(measure) for name, measure in measures.items()}))
        return
    table = Table("", "IoU, held-out views", "IoU, training views")
    for name, measure in measures.items():
        held_out = "-" if measure.held_out_iou is None else f"{measure.held_out_iou:.4f}"
        table.add_row(name, held_out, f"{measure.training_iou:.4f}")
    console = Console()
    console.print(table)
    console.print(f"Report: {(out / 'report.html').resolve()}", soft_wrap=True, highlight=False)
