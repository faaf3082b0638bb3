"""How well a camera is learnt: `LearnedProjection` with each of its warps, beside the analytic renderers of volumes.

A network sees the 30^3 voxels of one of the paper's Primitives, and learns to draw the silhouette and the depth of the
solid. It is tested on other solids, from cameras as in training and from where there was none.

The target is an image by OpenGL of the solid meshed on a grid three times as fine. So neither kind of renderer that is
compared has drawn it, and all have to make up for the same coarse voxels. An analytic renderer may be taught one
number, by how much to multiply the density; a network learns the rest.

    python examples/learned_projection.py --out DIR

writes config.json, metrics.json, report.html and an image. A run that was stopped goes on by the same command, and
more seeds may be added: a network that is trained is not trained again.
"""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import tyro
from learned_camera.networks import WARPS, Settings, Trained, load_trained, save_trained, train
from learned_camera.page import Study, page, picture, summary
from learned_camera.scores import analytic_renderers
from learned_camera.views import ZONES, Posed, make_views

from render3d.atomic import atomic_write, write_json, write_text
from render3d.cli.progress import Bar
from render3d.errors import ComparisonError
from render3d.renderers.volumetric.warps import Warp
from render3d.runs.folder import RunFolder
from render3d.settings import facts_of

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
    asked = dataclasses.asdict(settings)
    RunFolder(out, "learned_projection", ComparisonError).begin(asked, facts_of(asked))
    (out / "runs").mkdir(exist_ok=True)
    print(f"Drawing {settings.training_solids} solids to learn from and {settings.test_solids} to test on.")
    training = make_views("train", next(iter(ZONES)), settings.training_solids, settings.views)
    tests = {zone: make_views("test", zone, settings.test_solids, 2) for zone in ZONES}
    networks: dict[Warp, list[Trained]] = {warp: [] for warp in WARPS}
    for warp, trained in _trained(out / "runs", seeds, settings, training, tests):
        networks[warp].append(trained)
    study = Study(networks, analytic_renderers(training.first(_SOLIDS_TO_FIT), tests), tests)
    write_json(out / "metrics.json", summary(study))
    write_text(out / "report.html", page(study, settings))
    with atomic_write(out / "learned_projection.png") as stream:
        picture(study).save(stream, "PNG", optimize=True)
    print(f"Report: {(out / 'report.html').resolve()}")


def _trained(
    folder: Path, seeds: int, settings: Settings, training: Posed, tests: dict[str, Posed]
) -> Iterator[tuple[Warp, Trained]]:
    """All networks, from their files where they are there."""
    with Bar("updates", go_on="Go on by the same command.") as bar:
        for seed in range(seeds):
            for warp in WARPS:
                path = folder / f"{warp}_{seed}"
                if not path.with_suffix(".json").exists():
                    bar.begin(f"{warp}, seed {seed}", settings.updates)
                    save_trained(train(settings, warp, seed, training, tests, bar.advance), path)
                yield warp, load_trained(settings, warp, path)


if __name__ == "__main__":
    tyro.cli(run, description=__doc__)
