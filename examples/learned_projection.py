"""How well a camera is learnt: `LearnedProjection` with each of its warps, beside the analytic renderers of volumes.

A network sees the 30^3 voxels of one of the paper's Primitives, and learns to draw the silhouette and the depth of the
solid. It is tested on other solids, from cameras as in training and from where there was none.

The target is a picture by OpenGL of the solid meshed on a grid three times as fine. So neither kind of renderer that is
compared has drawn it, and all have to make up for the same coarse voxels. An analytic renderer may be taught one
number, by how much to multiply the density; a network learns the rest.

    python examples/learned_projection.py --out DIR

writes config.json, metrics.json, report.html and a picture. A run that was stopped goes on by the same command, and
more seeds may be added: a network that is trained is not trained again.
"""

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import tyro
from learned_camera.networks import WARPS, Settings, Trained, load_trained, save_trained, train
from learned_camera.page import Study, page, picture, summary
from learned_camera.scores import analytic_renderers
from learned_camera.views import ZONES, Posed, make_views
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from render3d.atomic import atomic_write
from render3d.renderers.volumetric.warps import Warp
from render3d.report import provenance

_SOLIDS_TO_FIT = 100  # for the one number of analytic renderers
_DEFAULTS = Settings()


def run(out: Path, *, seeds: int = 3, settings: Annotated[Settings, tyro.conf.arg(name="")] = _DEFAULTS) -> None:
    """Train `LearnedProjection` with each warp, and compare it with the analytic renderers of volumes.

    Args:
        out: The folder for the results.
        seeds: Networks of each kind; they differ in their first parameters and in the order of the data.
        settings: The same for all networks.
    """
    if seeds < 1:
        raise SystemExit(f"--seeds must be at least 1; got {seeds}.")
    _keep_config(out, settings)
    print(f"Drawing {settings.training_solids} solids to learn from and {settings.test_solids} to test on.")
    training = make_views("train", next(iter(ZONES)), settings.training_solids, settings.views)
    tests = {zone: make_views("test", zone, settings.test_solids, 2) for zone in ZONES}
    networks: dict[Warp, list[Trained]] = {warp: [] for warp in WARPS}
    for warp, trained in _trained(out / "runs", seeds, settings, training, tests):
        networks[warp].append(trained)
    study = Study(networks, analytic_renderers(training.first(_SOLIDS_TO_FIT), tests), tests)
    _write(out / "metrics.json", json.dumps(summary(study), indent=2))
    _write(out / "report.html", page(study, settings))
    with atomic_write(out / "learned_projection.png") as stream:
        picture(study).save(stream, "PNG", optimize=True)
    print(f"Report: {(out / 'report.html').resolve()}")


def _keep_config(out: Path, settings: Settings) -> None:
    """Write down what is asked for; networks trained otherwise are an error."""
    path = out / "config.json"
    asked = dataclasses.asdict(settings)
    if path.exists() and json.loads(path.read_text(encoding="utf-8"))["settings"] != asked:
        raise SystemExit(f"{path} tells of networks trained with other settings. Write to another folder.")
    (out / "runs").mkdir(parents=True, exist_ok=True)
    if not path.exists():
        _write(path, json.dumps({"settings": asked, "made_with": provenance()}, indent=2))


def _trained(
    folder: Path, seeds: int, settings: Settings, training: Posed, tests: dict[str, Posed]
) -> Iterator[tuple[Warp, Trained]]:
    """All networks, from their files where they are there."""
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn())
    with Progress(TextColumn("{task.description}"), *columns) as bar:
        for seed in range(seeds):
            for warp in WARPS:
                path = folder / f"{warp}_{seed}"
                if not path.with_suffix(".json").exists():
                    task = bar.add_task(f"{warp}, seed {seed}", total=settings.updates)
                    trained = train(settings, warp, seed, training, tests, lambda: bar.advance(task))  # noqa: B023
                    save_trained(trained, path)
                yield warp, load_trained(settings, warp, path)


def _write(path: Path, text: str) -> None:
    with atomic_write(path) as stream:
        stream.write((text + "\n").encode("utf-8"))


if __name__ == "__main__":
    tyro.cli(run, description=__doc__)
