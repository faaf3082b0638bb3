"""Any collection of meshes as a dataset of volumes."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, final

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from render3d.datasets.base import VolumeDataset
from render3d.datasets.checks import Split
from render3d.datasets.collections import CollectionObject, MeshCollection, Skipped
from render3d.datasets.view_sets.write.engine import Failed, Limits
from render3d.datasets.volumes.voxel_cache import REVISION, VoxelCache, Voxelize, source_checksum
from render3d.datasets.volumes.voxelizing import VoxelizedSettings
from render3d.errors import DatasetError, MeshError, VolumeError

_UNLABELLED = "shape"


@final
class VoxelizedCollection(VolumeDataset[VoxelizedSettings]):
    """The objects of a split, voxelised once and kept in a cache on disk.

    An example that is not in the cache yet is made when it is asked for; `prepare` makes all. The examples are the same
    in every epoch. The label is the number of the class in ``objects.classes``; objects without classes are all of one.

    Args:
        split: ``"train"``, ``"validation"`` or ``"test"``.
        objects: A collection with splits; see `render3d.datasets.collections.with_splits`.
        cache: A folder for the voxels, made if it is not there. Any number of processes and settings may share it.
        settings: See `VoxelizedSettings`.
        seed: As in `VolumeDataset`; no example depends on it.

    Attributes:
        objects: The object of each example.

    Raises:
        DatasetError: As in `VolumeDataset`; no objects in the split, or some without a class among others with one.
            When an example is asked for: its object cannot be used, or the cache cannot be written to.
    """

    revision: ClassVar[int] = REVISION
    defaults: ClassVar[type[Any]] = VoxelizedSettings

    def __init__(
        self,
        split: Split,
        objects: MeshCollection,
        cache: str | Path,
        settings: VoxelizedSettings | None = None,
        *,
        seed: int = 0,
    ) -> None:
        super().__init__(split, settings, seed=seed)
        self.objects = tuple(objects.select(split=split))
        self._cache = VoxelCache(Path(cache).absolute(), self.settings)
        self.classes = objects.classes or (_UNLABELLED,)
        unlabelled = [item.id for item in self.objects if not item.label]
        if objects.classes and unlabelled:
            raise DatasetError(f"Among objects with classes, these have none: {', '.join(unlabelled[:5])}.")

    def __len__(self) -> int:
        return len(self.objects)

    def prepare(
        self, workers: int | None = None, *, limits: Limits | None = None, progress: bool = True
    ) -> tuple[Skipped, ...]:
        """Fill the cache, and leave out the objects that cannot be used: the dataset is without them afterwards.

        Call it before the dataset goes to a ``DataLoader``, in a script under ``if __name__ == "__main__"``: the
        workers are new processes, which import it.

        Args:
            workers: Processes; None: one a core.
            limits: What one object may take; one that takes more is left out.
            progress: Whether to show a bar on standard error.

        Returns:
            What was left out, and why.

        Raises:
            RendererError: Workers cannot start.
            DatasetError: The cache cannot be written to; what is in it stays.
        """
        from render3d.datasets.view_sets.write.local import LocalEngine

        waiting = [item for item in self.objects if not self._is_kept(item)]
        failed: dict[str, Failed] = {}
        with _bar(len(self.objects), len(self.objects) - len(waiting), shown=progress and bool(waiting)) as bar:
            for outcome in LocalEngine(workers).run(Voxelize(self._cache), waiting, limits or Limits()):
                bar.advance(bar.task_ids[0])
                if isinstance(outcome, Failed):
                    failed[outcome.object.id] = outcome
                    if outcome.kind == "output":
                        raise DatasetError(outcome.reason)
        self.objects = tuple(item for item in self.objects if item.id not in failed)
        return tuple(Skipped(failure.object.path, failure.reason) for _, failure in sorted(failed.items()))

    def _is_kept(self, item: CollectionObject) -> bool:
        try:
            return self._cache.holds(item)
        except MeshError:  # it cannot be read; the worker will say so
            return False

    def make(self, index: int, generator: np.random.Generator) -> tuple[npt.NDArray[np.bool_], int]:
        """As `VolumeDataset.make`, from the cache."""
        item = self.objects[index]
        try:
            voxels = self._cache.voxels(item)
        except (MeshError, VolumeError) as error:
            raise DatasetError(f"Object {item.id} cannot be used; prepare() leaves such out. {error}") from error
        return voxels, self.classes.index(item.label or _UNLABELLED)

    def file_checksums(self) -> Mapping[str, str]:
        """One checksum of all objects, their classes and their order, for there may be many."""
        digest = hashlib.sha256()
        for item in self.objects:
            digest.update(f"{item.id}\n{item.label}\n{source_checksum(item)}\n".encode())
        return {"shapes": digest.hexdigest()}


def _bar(total: int, done: int, *, shown: bool) -> Progress:
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn())
    bar = Progress(TextColumn("voxels"), *columns, console=Console(stderr=True), disable=not shown)
    bar.add_task("voxels", total=total, completed=done)
    return bar
