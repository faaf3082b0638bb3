"""An update as one CUDA graph."""

from collections.abc import Callable
from typing import final

import torch
from torch import Tensor

from render3d.models.parts.batch import Batch

Gradients = Callable[[Batch, Tensor, Tensor], Tensor]
"""From a batch, noise ``[N, T, L]`` and the weight of the KL to ``[3]``: the mean reconstruction and KL in nats, and
the norm of the gradient, which is left in the parameters."""

_WARM_UPS = 3


@final
class GraphedGradients:
    """`Gradients` that are recorded once and replayed: the kernels of an update are started by one call.

    An update of T = 12 is some thousands of kernels, most of them shorter than it takes Python to launch them. The
    recording holds kernels and addresses, nothing of Python: ``gradients`` must set gradients to None before it makes
    them, look at no value, and draw no random number.

    Args:
        gradients: What is recorded.
        batch: One batch, without cameras; later ones must be like it. Lives on a GPU.
        noise: Likewise.
        kl_weight: Likewise, a scalar.
    """

    def __init__(self, gradients: Gradients, batch: Batch, noise: Tensor, kl_weight: Tensor) -> None:
        assert batch.cameras is None
        self._batch = Batch(batch.x.clone(), None if batch.context is None else batch.context.clone())
        self._noise, self._kl_weight = noise.clone(), kl_weight.clone()
        stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):  # libraries choose their kernels, and make their workspaces, before
            for _ in range(_WARM_UPS):
                gradients(self._batch, self._noise, self._kl_weight)
        torch.cuda.current_stream().wait_stream(stream)
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph):
            self._result = gradients(self._batch, self._noise, self._kl_weight)

    def __call__(self, batch: Batch, noise: Tensor, kl_weight: Tensor) -> Tensor:
        """As `Gradients`, to which the result of the next call is written too."""
        self._batch.x.copy_(batch.x)
        if self._batch.context is not None:
            assert batch.context is not None
            self._batch.context.copy_(batch.context)
        self._noise.copy_(noise)
        self._kl_weight.copy_(kl_weight)
        self._graph.replay()
        return self._result
