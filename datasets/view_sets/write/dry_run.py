"""What a run would make, without making it: `preview`."""

import contextlib
import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, final

from render3d.datasets.collections import CollectionObject, Skipped
from render3d.datasets.view_sets.write.checking import check_run
from render3d.datasets.view_sets.write.engine import Engine, Finished, Limits, outcomes_of
from render3d.datasets.view_sets.write.failures import Failure, skipped_by_reason
from render3d.datasets.view_sets.write.preparing import PrepareObject
from render3d.datasets.view_sets.write.problems import Problem, objects_by_kind, problems_of
from render3d.datasets.view_sets.write.run import Advance
from render3d.datasets.view_sets.write.settings import ViewsSettings
from render3d.datasets.view_sets.write.tables import printable


@final
@dataclasses.dataclass(frozen=True)
class Preview:
    """What a run would make.

    Attributes:
        objects: The ids of those that can be read, in order.
        failures: Those that would be refused, in the order of ids.
        skipped: What `open_collection` met and did not take for an object.
        problems: Of objects that can be read, as far as they are known without images.
    """

    objects: tuple[str, ...]
    failures: tuple[Failure, ...]
    skipped: tuple[Skipped, ...]
    problems: tuple[Problem, ...]

    def facts(self) -> dict[str, Any]:
        """Return all of it in the types of JSON."""
        return {
            "would_make": list(self.objects),
            "would_fail": {failure.id: failure.reason for failure in self.failures},
            "would_skip": {printable(str(skip.path)): printable(skip.reason) for skip in self.skipped},
            "skipped": len(self.skipped),
            "with_problems": len({problem.id for problem in self.problems}),
            "problems_by_kind": objects_by_kind(self.problems),
            "skipped_by_reason": skipped_by_reason(self.skipped),
        }


def preview(
    objects: Sequence[CollectionObject],
    settings: ViewsSettings,
    engine: Engine,
    limits: Limits | None = None,
    *,
    progress: Callable[[Advance], None] | None = None,
) -> Preview:
    """Read objects as `generate` would, and say what would be made of them. Nothing is rendered, nothing written.

    What only images show is not known here: an object that no view shows would fail all the same.

    Args:
        objects: As in `generate`, like all others.
        settings: How they would be made.
        engine: The workers that read them.
        limits: What one object may take.
        progress: Called whenever an object is read.

    Raises:
        CapabilityError: As `generate`, for all that is no matter of the folder.
        DatasetError: Likewise.
        ViewSetError: Likewise.
        RendererError: The workers cannot start.
    """
    collection = check_run(objects, settings).objects
    texts: dict[str, Sequence[str]] = {}
    failed: dict[str, Failure] = {}
    with contextlib.closing(outcomes_of(engine, PrepareObject(settings), collection, limits or Limits())) as outcomes:
        for outcome in outcomes:
            if isinstance(outcome, Finished):
                texts[outcome.object.id] = outcome.problems
            else:
                failed[outcome.object.id] = Failure.of(outcome)
            if progress is not None:
                progress(Advance(len(collection), 0, len(texts), len(failed)))
    return Preview(
        objects=tuple(item.id for item in collection if item.id in texts),
        failures=tuple(failed[item.id] for item in collection if item.id in failed),
        skipped=collection.skipped,
        problems=tuple(problems_of(collection, texts)),
    )
