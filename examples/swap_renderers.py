"""Swap the renderer: one network that sees one image and predicts a solid, trained through any renderer.

What is predicted is compared with silhouettes from other sides, as `renderer` draws it; so the gradient comes from the
renderer, or through an estimator where it gives none. ``--renderers`` is the only thing that changes:

    python examples/swap_renderers.py --renderers opengl pyrender mitsuba emissionabsorption

and, where PyTorch3D is installed, with its soft edges: ``--renderers ... one_image.soft_renderers:SoftPyTorch3D``. A
renderer of volumes makes the network predict a volume.

It writes config.json, metrics.json, report.html and images; networks that are trained already, by an earlier call
with the same settings, are not trained again.
"""

import dataclasses
from pathlib import Path
from typing import Annotated

import torch
import tyro
from one_image.objects import Objects
from one_image.page import Runs, curves_by_seconds, curves_by_updates, page, picture, summary
from one_image.training import Settings, Trained, train

from render3d.atomic import atomic_write, write_json, write_text
from render3d.cli.progress import Bar
from render3d.comparison.facts import RendererFacts, folder_name, labels_of
from render3d.errors import ComparisonError
from render3d.renderers import make_renderer
from render3d.report import provenance, standalone
from render3d.report.pictures import image_of
from render3d.runs.folder import RunFolder
from render3d.settings import facts_of

_DEFAULTS = Settings()


def run(
    out: Path = Path("out/swap_renderers"),
    *,
    renderers: tuple[str, ...] = ("opengl", "pyrender", "mitsuba", "emissionabsorption"),
    device: str = "cpu",
    settings: Annotated[Settings, tyro.conf.arg(name="")] = _DEFAULTS,
) -> None:
    """Train the network through each renderer in turn, and compare.

    Args:
        out: The folder for the results.
        renderers: Names of renderers; module:Class for one of your own.
        device: Where network and images are; a renderer works where it can, and gradients come back here.
        settings: The same for all.
    """
    asked = dataclasses.asdict(settings)
    RunFolder(out, "swap_renderers", ComparisonError).begin(asked, facts_of(asked))
    labels = labels_of(renderers)
    made = {name: make_renderer(name) for name in renderers}  # what is missing is told before anything is trained
    print(f"Drawing {settings.training} solids to learn from and {settings.test} to test on.")
    place = torch.device(device)
    training = Objects.make("train", settings.training, settings.image_size).to(place)
    test = Objects.make("test", settings.test, settings.image_size).to(place)
    runs: Runs = {}
    with Bar("updates", go_on="Go on by the same command.") as bar:
        for name, renderer in made.items():
            folder = out / folder_name(name)
            if not (folder / "trained.json").exists():
                bar.begin(labels[name], settings.updates)
                known = RendererFacts.of(name, renderer)
                facts = {"library": known.library, "licence": known.licence, "gradients": known.gradient_kinds}
                train(renderer, settings, training, test, facts, bar.advance).save(folder)
            trained = Trained.load(folder, renderer, settings)
            trained.network.to(place)
            runs[labels[name]] = (renderer, trained)
    _write(out, runs, test, settings)


def _write(out: Path, runs: Runs, test: Objects, settings: Settings) -> None:
    found = summary(runs)
    write_json(out / "metrics.json", {"renderers": found, "made_with": provenance()})
    write_text(out / "by_updates.svg", standalone(curves_by_updates(runs)))
    write_text(out / "by_seconds.svg", standalone(curves_by_seconds(runs)))
    with atomic_write(out / "pictures.png") as stream:
        image_of(picture(runs, test)).save(stream, "PNG", optimize=True)
    write_text(out / "report.html", page(runs, test, settings))
    for name, each in found.items():
        print(f"{name}: a {each['scene']}, IoU {each['iou']:.3f}, {each['seconds']:.0f} s")
    print(f"Report: {(out / 'report.html').resolve()}")


if __name__ == "__main__":
    tyro.cli(run, description=__doc__)
