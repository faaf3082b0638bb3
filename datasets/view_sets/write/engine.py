"""The seam between what is done for one object and the workers that do it."""

import dataclasses
from collections.abc import Generator, Iterator, Mapping, Sequence
from typing import Literal, Protocol, final

from render3d.datasets.collections import CollectionObject

Kind = Literal["input", "timeout", "memory", "crash", "output"]
"""Why an object failed: it cannot be used; it took too long; it took too much memory; its worker died; nothing can be
written, which ends the run, for the next object would fail as well."""


@final
@dataclasses.dataclass(frozen=True)
class Finished:
    """An object whose job is done: that of a run has stored its images.

    Attributes:
        object: Which.
        seconds: Of each stage, by name: ``loading``, ``rendering``, ``writing``.
        worker: The process that did it, ``MACHINE:NUMBER``; empty if it was none of its own.
        memory: Bytes that this process held afterwards; None if it was none of its own.
        problems: What was wrong with the object and did not stop it, each in a sentence.
    """

    object: CollectionObject
    seconds: Mapping[str, float]
    worker: str = ""
    memory: int | None = None
    problems: Sequence[str] = ()


@final
@dataclasses.dataclass(frozen=True)
class Failed:
    """An object of which nothing is stored.

    Attributes:
        object: Which.
        kind: Why, for programs.
        reason: Why, in a sentence.
        trace: Where, for those who mend it; empty where there is none.
        files: SHA-256 of what was read beside the mesh file, as `render3d.scenes.files.meshes.load_mesh` tells it.
    """

    object: CollectionObject
    kind: Kind
    reason: str
    trace: str = ""
    files: Mapping[str, str] = dataclasses.field(default_factory=dict)


Outcome = Finished | Failed


class Job(Protocol):
    """What is done for one object, in a worker: it can be pickled, and is the same whichever worker runs it."""

    def __call__(self, item: CollectionObject, /) -> Outcome:
        """Do it. Whatever goes wrong with the object is `Failed`, not an exception."""
        ...


@final
@dataclasses.dataclass(frozen=True)
class Limits:
    """What one object may take.

    Attributes:
        seconds: From when a worker takes it up.
        memory: Bytes that its worker may hold; None: no bound.
    """

    seconds: float = 300.0
    memory: int | None = 4 * 2**30


class Engine(Protocol):
    """Workers that run a job for each of many objects.

    One whose workers may be on other machines has an attribute ``elsewhere`` that is true: what is missing on this
    machine need not be missing there.
    """

    def run(self, job: Job, objects: Sequence[CollectionObject], limits: Limits) -> Iterator[Outcome]:
        """Outcomes in the order in which they come, one for each object.

        An object that is too slow, takes too much memory or kills its worker is `Failed` and costs only itself.
        Closing the iterator stops the workers.
        """
        ...


def outcomes_of(
    engine: Engine, job: Job, objects: Sequence[CollectionObject], limits: Limits
) -> Generator[Outcome, None, None]:
    """Yield what `Engine.run` yields, as a generator: it can be closed, whatever iterator the engine returns."""
    yield from engine.run(job, objects, limits)
