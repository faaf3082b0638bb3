"""Images of a whole collection, in a folder that explains itself; a run can be stopped at any moment and resumed."""

import collections
import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple, final

import numpy as np

from render3d.atomic import atomic_write, json_by_lines, write_json, write_text
from render3d.cameras import Cameras
from render3d.datasets.collections import CollectionObject, MeshCollection
from render3d.datasets.collections.checksums import sha256_of
from render3d.datasets.view_sets.write.checking import check_run
from render3d.datasets.view_sets.write.engine import Engine, Failed, Finished, Limits, outcomes_of
from render3d.datasets.view_sets.write.failures import (
    Failure,
    append_failure,
    read_failures,
    write_failures,
    write_skipped,
)
from render3d.datasets.view_sets.write.job import RenderObject
from render3d.datasets.view_sets.write.problems import problems_of, write_problems
from render3d.datasets.view_sets.write.report import views_report
from render3d.datasets.view_sets.write.result import MemoryLog, ViewsResult
from render3d.datasets.view_sets.write.settings import ViewsSettings
from render3d.datasets.view_sets.write.sources import MeshSource
from render3d.datasets.view_sets.write.store import clean, discard, locked, read_whole, wait_for_disk
from render3d.errors import GenerationError
from render3d.runs.folder import RunFolder
from render3d.runs.readiness import check_ready
from render3d.scenes import Mesh
from render3d.settings import facts_of
from render3d.view_sets.files import OBJECT
from render3d.view_sets.formats import FORMATS, Format

MANIFEST = "manifest.json"


class Advance(NamedTuple):
    """How far a run is, in objects."""

    total: int
    kept: int  # those that an earlier run has stored, or found unusable
    made: int  # by this run
    failed: int  # of those that this run tried


def generate(
    objects: Sequence[CollectionObject],
    settings: ViewsSettings,
    folder: Path,
    engine: Engine,
    limits: Limits | None = None,
    *,
    resume: bool = False,
    progress: Callable[[Advance], None] | None = None,
) -> ViewsResult:
    """Make images of objects, and write ``config.json``, ``manifest.json``, ``metrics.json`` and ``report.html``.

    What fails is listed in ``failures.csv`` and stops nothing else. ``problems.csv`` lists what was wrong with objects
    that are stored all the same, and ``skipped.csv`` the files of the collection that were not taken for objects.
    ``manifest.json`` lists what is stored, and comes when all else is on the disk.

    Args:
        objects: Of one collection, such as `render3d.datasets.collections.open_collection` gives.
        settings: How.
        folder: For the results; made if it is not there.
        engine: The workers.
        limits: What one object may take.
        resume: Go on with the run that was stopped there: make what is missing, damaged, or of a source that has
            changed, and try again what failed, unless its unchanged source was the reason.
        progress: Called whenever an object is done.

    Raises:
        CapabilityError: As `ViewsSettings.make_renderer`.
        RendererError: The renderer's library or device is missing on this machine, and the workers are here.
        DatasetError: No objects, or two that would lie in one place.
        ViewSetError: No such format, or one that lacks room for such views.
        GenerationError: A run in the folder without ``resume``, none or one of other settings with it; another run that
            is writing there; or nothing can be rendered or stored any more. What is finished stays.
        OSError: The folder cannot be written to.
    """
    begin = time.perf_counter()
    collection, format, renderer = check_run(objects, settings)
    config, asked = RunFolder(folder, "views", GenerationError), settings.to_json()
    config.check_resume(resume)
    if not resume and not getattr(engine, "elsewhere", False):
        check_ready(renderer, Mesh.icosphere(0), Cameras.sphere(1, 3.0, image_size=(8, 8)), settings.outputs)
    with locked(folder):
        config.check_resume(resume)  # now that nobody else can begin one
        clean(folder)
        config.begin(asked, facts_of(asked))
        run = _Run(folder, format, collection, progress)
        if resume:
            run.look()
        else:
            write_failures(folder, [])
        try:
            run.make(engine, RenderObject(settings, folder), limits or Limits())
        finally:
            clean(folder)
        _finish(folder, format, run.stored())
        result = run.result(settings, time.perf_counter() - begin)
        write_problems(folder, result.problems)
        write_skipped(folder, result.skipped)
        write_json(folder / "metrics.json", result.facts())
        write_text(folder / "report.html", views_report(folder, format, run.stored(), settings, result))
    return result


@final
class _Run:
    """The state of a run."""

    def __init__(
        self, folder: Path, format: Format, objects: MeshCollection, progress: Callable[[Advance], None] | None
    ) -> None:
        self._folder, self._format, self._objects, self._progress = folder, format, objects, progress
        self._kept: set[str] = set()
        self._made: set[str] = set()
        self._problems: dict[str, Sequence[str]] = {}
        self._failures: dict[str, Failure] = {}
        self._stages: collections.Counter[str] = collections.Counter()
        self._memory = MemoryLog()

    def look(self) -> None:
        """Find what earlier runs have stored, and what they found unusable; remove what is damaged or outdated."""
        earlier = read_failures(self._folder)
        with ThreadPoolExecutor() as threads:
            for item, facts in zip(self._objects, threads.map(self._look_at, self._objects), strict=True):
                failure = earlier.get(item.id)
                if facts is not None:
                    self._kept.add(item.id)
                    self._problems[item.id] = facts["problems"]
                elif failure is not None and failure.would_recur(item):
                    self._failures[item.id] = failure
        write_failures(self._folder, self._failures.values())

    def _look_at(self, item: CollectionObject) -> dict[str, Any] | None:
        """What is stored of it, if it is whole; if not, nothing of it is left."""
        place = self._format.place(item)
        facts = read_whole(self._folder, place, lambda source: MeshSource.from_json(source).is_there(item))
        if facts is None or not _tells_problems(facts):
            discard(self._folder, place)
            return None
        return facts

    def make(self, engine: Engine, job: RenderObject, limits: Limits) -> None:
        """Have the rest made."""
        known = len(self._failures)
        rest = [item for item in self._objects if item.id not in self._kept and item.id not in self._failures]
        with contextlib.closing(outcomes_of(engine, job, rest, limits)) as outcomes:
            self._tell(known)
            for outcome in outcomes:
                if isinstance(outcome, Finished):
                    self._made.add(outcome.object.id)
                    self._problems[outcome.object.id] = outcome.problems
                    self._stages.update(outcome.seconds)
                    self._memory.add(outcome)
                else:
                    self._note(outcome)
                self._tell(known)

    def _note(self, failed: Failed) -> None:
        if failed.kind == "output":
            raise GenerationError(
                f"{failed.object.id}: {failed.reason}. {len(self._kept) + len(self._made)} finished objects stay; go "
                "on by --resume once that is mended."
            )
        failure = Failure.of(failed)
        self._failures[failed.object.id] = failure
        append_failure(self._folder, failure)

    def _tell(self, known: int) -> None:
        if self._progress is not None:
            kept, made = len(self._kept) + known, len(self._made)
            self._progress(Advance(len(self._objects), kept, made, len(self._failures) - known))

    def stored(self) -> list[CollectionObject]:
        """What is stored whole, in the order of ids."""
        return [item for item in self._objects if item.id in self._kept or item.id in self._made]

    def result(self, settings: ViewsSettings, seconds: float) -> ViewsResult:
        """What came of it."""
        write_failures(self._folder, self._failures.values())
        views = settings.protocol(np.random.default_rng(0)).views
        failures = tuple(self._failures[item.id] for item in self._objects if item.id in self._failures)
        return ViewsResult(
            kept=len(self._kept),
            made=len(self._made),
            failures=failures,
            skipped=self._objects.skipped,
            problems=tuple(problems_of(self._objects, self._problems)),
            views=views * len(self._made),
            seconds=seconds,
            stages=dict(self._stages),
            memory=self._memory.by_worker(),
        )


def _tells_problems(facts: Mapping[str, Any]) -> bool:
    problems = facts.get("problems")
    return isinstance(problems, list) and all(isinstance(text, str) for text in problems)


def _finish(folder: Path, format: Format, stored: list[CollectionObject]) -> None:
    """Whatever the format makes of all together, and the list of what there is."""
    places = [format.place(item) for item in stored]
    objects = [
        item.facts() | {"place": place.as_posix(), "sha256": sha256_of(folder / place / OBJECT)}
        for item, place in zip(stored, places, strict=True)
    ]
    format.finish(folder, stored)
    wait_for_disk()
    with atomic_write(folder / MANIFEST) as stream:
        facts = {"format": FORMATS.short_name_of(type(format)), "count": len(objects), "objects": objects}
        stream.write(json_by_lines(facts))
