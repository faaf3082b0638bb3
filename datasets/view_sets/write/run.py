"""Pictures of a whole collection, in a folder that explains itself; a run can be stopped at any moment and resumed."""

import collections
import contextlib
import dataclasses
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple, final

import numpy as np

from render3d.atomic import atomic_write, json_by_lines, write_json, write_text
from render3d.cameras import Cameras
from render3d.datasets.collections import CollectionObject, MeshCollection, Skipped
from render3d.datasets.collections.checksums import sha256_of
from render3d.datasets.view_sets.formats import layout_by_name
from render3d.datasets.view_sets.formats.base import OBJECT, Layout
from render3d.datasets.view_sets.write.engine import Engine, Failed, Finished, Limits, Outcome
from render3d.datasets.view_sets.write.failures import Failure, append_failure, read_failures, write_failures
from render3d.datasets.view_sets.write.job import RenderObject
from render3d.datasets.view_sets.write.memory import MemoryLog, WorkerMemory
from render3d.datasets.view_sets.write.report import views_report
from render3d.datasets.view_sets.write.settings import ViewsSettings
from render3d.datasets.view_sets.write.sources import MeshSource
from render3d.datasets.view_sets.write.store import clean, discard, is_whole, locked, wait_for_disk
from render3d.errors import DatasetError, GenerationError
from render3d.runs.folder import RunFolder
from render3d.runs.readiness import check_ready
from render3d.scenes import Mesh
from render3d.settings import facts_of

MANIFEST = "manifest.json"


class Advance(NamedTuple):
    """How far a run is, in objects."""

    total: int
    kept: int  # those that an earlier run has stored, or found unusable
    made: int  # by this run
    failed: int  # of those that this run tried


@final
@dataclasses.dataclass(frozen=True)
class Result:
    """What came of a run.

    Attributes:
        kept: Objects that an earlier run had stored.
        made: Objects that this one has stored.
        failures: What is not stored, in the order of ids, with those of earlier runs that are as before.
        skipped: What `open_collection` met and did not take for a shape.
        views: Pictures that this run has stored.
        seconds: That this run took.
        stages: Seconds that its workers spent on ``loading``, ``rendering`` and ``writing``, added up.
        memory: Of each process that made objects.
    """

    kept: int
    made: int
    failures: tuple[Failure, ...]
    skipped: tuple[Skipped, ...]
    views: int
    seconds: float
    stages: Mapping[str, float]
    memory: tuple[WorkerMemory, ...]

    def facts(self) -> dict[str, Any]:
        """What ``metrics.json`` holds."""
        busy = sum(self.stages.values()) or 1.0
        return {
            "kept": self.kept,
            "made": self.made,
            "failed": len(self.failures),
            "failed_by_kind": dict(sorted(collections.Counter(failure.kind for failure in self.failures).items())),
            "skipped": len(self.skipped),
            "views": self.views,
            "seconds": self.seconds,
            "views_per_second": self.views / self.seconds if self.seconds else 0.0,
            "shares": {name: seconds / busy for name, seconds in self.stages.items()},
            "memory_mib": [dataclasses.asdict(worker) for worker in self.memory],
        }


def generate(
    shapes: Sequence[CollectionObject],
    settings: ViewsSettings,
    folder: Path,
    engine: Engine,
    limits: Limits | None = None,
    *,
    resume: bool = False,
    progress: Callable[[Advance], None] | None = None,
) -> Result:
    """Make pictures of shapes, and write ``config.json``, ``manifest.json``, ``metrics.json`` and ``report.html``.

    What fails is told in ``failures.csv`` and stops nothing else. ``manifest.json`` lists what is stored, and comes
    when all else is on the disk.

    Args:
        shapes: Of one collection, such as `render3d.datasets.collections.open_collection` gives.
        settings: How.
        folder: For the results; made if it is not there.
        engine: The workers.
        limits: What one shape may take.
        resume: Go on with the run that was stopped there: make what is missing, damaged, or of a source that has
            changed, and try again what failed, unless its unchanged source was the reason.
        progress: Called whenever an object is done.

    Raises:
        CapabilityError: As `ViewsSettings.make_renderer`.
        RendererError: The renderer's library or device is missing on this machine, and the workers are here.
        DatasetError: No shapes, two that would lie in one place, no such layout, or one that lacks room for such views.
        GenerationError: A run in the folder without ``resume``, none or one of other settings with it; another run that
            is writing there; or nothing can be rendered or stored any more. What is finished stays.
        OSError: The folder cannot be written to.
    """
    begin = time.perf_counter()
    renderer = settings.make_renderer()
    layout = layout_by_name(settings.layout)
    layout.check(settings.protocol(np.random.default_rng(0)), settings.outputs)
    collection = shapes if isinstance(shapes, MeshCollection) else MeshCollection.of(shapes)
    _check_places(collection, layout)
    config, asked = RunFolder(folder, "views", GenerationError), settings.to_json()
    config.check_resume(resume)
    if not resume and not getattr(engine, "elsewhere", False):
        check_ready(renderer, Mesh.icosphere(0), Cameras.sphere(1, 3.0, image_size=(8, 8)), settings.outputs)
    with locked(folder):
        config.check_resume(resume)  # now that nobody else can begin one
        clean(folder)
        config.begin(asked, facts_of(asked))
        run = _Run(folder, layout, collection, progress)
        if resume:
            run.look()
        else:
            write_failures(folder, [])
        try:
            run.make(engine, RenderObject(settings, folder), limits or Limits())
        finally:
            clean(folder)
        _finish(folder, layout, run.stored())
        result = run.result(settings, time.perf_counter() - begin)
        write_json(folder / "metrics.json", result.facts())
        write_text(folder / "report.html", views_report(folder, layout, run.stored(), settings, result))
    return result


def _check_places(shapes: MeshCollection, layout: Layout) -> None:
    """Raise unless each object has a folder of its own, in none of another object."""
    if not shapes:
        raise DatasetError("There are no shapes to make pictures of.")
    places: dict[Any, CollectionObject] = {}
    for shape in shapes:
        other = places.setdefault(layout.place(shape), shape)
        if other is not shape:
            raise DatasetError(
                f"{other.path} and {shape.path} would both be stored as {layout.place(shape)}; rename one."
            )
    for place, shape in places.items():
        outer = next((places[parent] for parent in place.parents if parent in places), None)
        if outer is not None:
            raise DatasetError(f"{shape.path} would be stored inside the object of {outer.path}; rename one.")


@final
class _Run:
    """The state of a run."""

    def __init__(
        self, folder: Path, layout: Layout, shapes: MeshCollection, progress: Callable[[Advance], None] | None
    ) -> None:
        self._folder, self._layout, self._shapes, self._progress = folder, layout, shapes, progress
        self._kept: set[str] = set()
        self._made: set[str] = set()
        self._failures: dict[str, Failure] = {}
        self._stages: collections.Counter[str] = collections.Counter()
        self._memory = MemoryLog()

    def look(self) -> None:
        """Find what earlier runs have stored, and what they found unusable; remove what is damaged or outdated."""
        earlier = read_failures(self._folder)
        with ThreadPoolExecutor() as threads:
            for shape, is_kept in zip(self._shapes, threads.map(self._look_at, self._shapes), strict=True):
                failure = earlier.get(shape.id)
                if is_kept:
                    self._kept.add(shape.id)
                elif failure is not None and failure.would_recur(shape):
                    self._failures[shape.id] = failure
        write_failures(self._folder, self._failures.values())

    def _look_at(self, shape: CollectionObject) -> bool:
        """Whether it is stored whole; if not, nothing of it is left."""
        place = self._layout.place(shape)
        found = is_whole(self._folder, place, lambda source: MeshSource.from_json(source).is_there(shape))
        if not found:
            discard(self._folder, place)
        return found

    def make(self, engine: Engine, job: RenderObject, limits: Limits) -> None:
        """Have the rest made."""
        known = len(self._failures)
        rest = [shape for shape in self._shapes if shape.id not in self._kept and shape.id not in self._failures]
        with contextlib.closing(_outcomes(engine, job, rest, limits)) as outcomes:
            self._tell(known)
            for outcome in outcomes:
                if isinstance(outcome, Finished):
                    self._made.add(outcome.shape.id)
                    self._stages.update(outcome.seconds)
                    self._memory.add(outcome)
                else:
                    self._note(outcome)
                self._tell(known)

    def _note(self, failed: Failed) -> None:
        if failed.kind == "output":
            raise GenerationError(
                f"{failed.shape.id}: {failed.reason}. {len(self._kept) + len(self._made)} finished objects stay; go on "
                "by --resume once that is mended."
            )
        failure = Failure.of(failed)
        self._failures[failed.shape.id] = failure
        append_failure(self._folder, failure)

    def _tell(self, known: int) -> None:
        if self._progress is not None:
            kept, made = len(self._kept) + known, len(self._made)
            self._progress(Advance(len(self._shapes), kept, made, len(self._failures) - known))

    def stored(self) -> list[CollectionObject]:
        """What is stored whole, in the order of ids."""
        return [shape for shape in self._shapes if shape.id in self._kept or shape.id in self._made]

    def result(self, settings: ViewsSettings, seconds: float) -> Result:
        """What came of it."""
        write_failures(self._folder, self._failures.values())
        views = settings.protocol(np.random.default_rng(0)).views
        failures = tuple(self._failures[shape.id] for shape in self._shapes if shape.id in self._failures)
        return Result(
            kept=len(self._kept),
            made=len(self._made),
            failures=failures,
            skipped=self._shapes.skipped,
            views=views * len(self._made),
            seconds=seconds,
            stages=dict(self._stages),
            memory=self._memory.by_worker(),
        )


def _outcomes(
    engine: Engine, job: RenderObject, shapes: list[CollectionObject], limits: Limits
) -> Generator[Outcome, None, None]:
    # A generator of its own, so that it can be closed whatever iterator the engine returns.
    yield from engine.run(job, shapes, limits)


def _finish(folder: Path, layout: Layout, stored: list[CollectionObject]) -> None:
    """Whatever the layout makes of all together, and the list of what there is."""
    objects = [
        {
            "id": shape.id,
            "label": shape.label,
            "split": shape.split,
            "creator": shape.creator,
            "licence": shape.licence,
            "place": layout.place(shape).as_posix(),
            "sha256": sha256_of(folder / layout.place(shape) / OBJECT),
        }
        for shape in stored
    ]
    layout.finish(folder, stored)
    wait_for_disk()
    with atomic_write(folder / MANIFEST) as stream:
        stream.write(json_by_lines({"layout": layout.name, "count": len(objects), "objects": objects}))
