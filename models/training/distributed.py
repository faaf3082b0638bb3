"""Several processes as one run: what ``torchrun`` starts."""

import os
from types import TracebackType
from typing import Self, final

import torch
from torch import Tensor, distributed, nn

from render3d.batches import usable_device
from render3d.errors import TrainingError


@final
class World:
    """The processes of a run, alone or started by ``torchrun``. A context manager: it joins and leaves the group.

    Attributes:
        rank: The number of this process, from 0.
        size: How many there are.
        device: Where this process computes.

    Raises:
        DeviceError: There is no such device.
    """

    def __init__(self, device: str | None = None) -> None:
        self.rank, self.size = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
        local = int(os.environ.get("LOCAL_RANK", "0"))
        default = f"cuda:{local}" if torch.cuda.is_available() else "cpu"
        self.device = usable_device(device or default)

    def __enter__(self) -> Self:
        if self.size > 1:
            distributed.init_process_group("nccl" if self.device.type == "cuda" else "gloo")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.size > 1:
            distributed.destroy_process_group()

    @property
    def is_first(self) -> bool:
        """Whether this process writes and reports."""
        return self.rank == 0

    def share(self, count: int) -> range:
        """The numbers, of ``count`` things, of those that are this process's; all parts are alike.

        Raises:
            TrainingError: They cannot be alike.
        """
        if count % self.size:
            raise TrainingError(
                f"batch_size must be a multiple of the {self.size} processes; got {count}. Choose another batch_size."
            )
        part = count // self.size
        return range(self.rank * part, (self.rank + 1) * part)

    def parallel(self, model: nn.Module) -> nn.Module:
        """The model with gradients averaged over the processes."""
        return nn.parallel.DistributedDataParallel(model) if self.size > 1 else model

    def sum(self, values: Tensor) -> Tensor:
        """The sum over the processes."""
        if self.size > 1:
            distributed.all_reduce(values)
        return values
