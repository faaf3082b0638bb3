"""A run that can be stopped, in one file that changes at once: tensors, and the rest as JSON in the header."""

import dataclasses
import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar, final

from safetensors import SafetensorError, safe_open
from safetensors.torch import save as encode
from torch import Tensor

from render3d.atomic import atomic_write
from render3d.errors import Render3DError
from render3d.settings import settings_from_json

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Record = TypeVar("Record", bound="DataclassInstance")

Expected = Callable[[int, Sequence[Record]], Mapping[str, Tensor]]
"""From the updates done and the records to tensors of the names, shapes and dtypes that a checkpoint must hold."""


class Saved(NamedTuple, Generic[Record]):
    """What a checkpoint holds.

    Attributes:
        tensors: By name, on the CPU.
        updates: How many were done.
        records: What the run showed so far.
    """

    tensors: dict[str, Tensor]
    updates: int
    records: list[Record]


@final
@dataclasses.dataclass(frozen=True)
class Checkpoint(Generic[Record]):
    """The file of a run.

    Attributes:
        path: The file. Its folder is there: see `render3d.runs.folder.RunFolder`.
        record: The dataclass of the records, whose fields are of plain types.
        error: What is raised.
    """

    path: Path
    record: type[Record]
    error: type[Render3DError]

    def save(self, tensors: Mapping[str, Tensor], updates: int, records: Sequence[Record]) -> None:
        """Replace the file, or leave it as it was.

        Raises:
            Render3DError: The ``error`` of the checkpoint: it cannot be written.
        """
        header = {"updates": str(updates), "records": json.dumps([dataclasses.asdict(record) for record in records])}
        content = encode({name: value.detach().cpu().contiguous() for name, value in tensors.items()}, header)
        try:
            with atomic_write(self.path) as stream:
                stream.write(content)
        except OSError as error:
            raise self.error(
                f"Could not save the run to {self.path}: {os.strerror(error.errno or 0)}. What was saved there before "
                "is intact: make room, and resume."
            ) from error

    def load(self, expected: Expected[Record]) -> Saved[Record]:
        """Return what was saved, once all of it is known to be what such a run saves.

        Raises:
            Render3DError: The ``error`` of the checkpoint: the file is missing, damaged or something else.
        """
        try:
            with safe_open(self.path, framework="pt") as file:
                header = file.metadata() or {}
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # it is no mapping
            updates, values = int(header["updates"]), json.loads(header["records"])
            if updates < 0 or not isinstance(values, list):
                raise ValueError(f"{updates} updates, and records of type {type(values).__name__}")
            records = [settings_from_json(self.record, each, what="record", error=self.error) for each in values]
            _check(tensors, expected(updates, records))
        except (SafetensorError, KeyError, ValueError, OSError, RecursionError, self.error) as error:
            raise self.error(
                f"{self.path} is not a checkpoint of this run, or is damaged ({error}). Remove it to start from the "
                "beginning."
            ) from error
        return Saved(tensors, updates, records)


def _check(found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    """Raise ValueError unless the tensors are those expected but for their values."""
    for what, names in (("lacks", expected.keys() - found), ("has no use for", found.keys() - expected)):
        if names:
            raise ValueError(f"it {what} {', '.join(sorted(names))}")
    for name, wanted in expected.items():
        tensor = found[name]
        if (tensor.dtype, tensor.shape) != (wanted.dtype, wanted.shape):
            raise ValueError(
                f"{name} is {tensor.dtype} of shape {list(tensor.shape)}, not {wanted.dtype} of shape "
                f"{list(wanted.shape)}"
            )
