"""Adam as a value: for canvases of voxels as it is, for meshes with one step size for the whole shape."""

import dataclasses
from typing import Self, final

import torch
from torch import Tensor

_DECAY = (0.9, 0.999)  # of the first and the second moment


@final
@dataclasses.dataclass(frozen=True)
class Adam:
    """Adam (Kingma and Ba, "Adam: a method for stochastic optimization", 2015) as a value.

    `step` returns the next state and leaves this one as it is. Adam divides each coordinate by its own root mean
    square, which undoes the smoothing of a preconditioner. Where it is ``uniform``, all are divided by the largest
    (Nicolet, Jacobson and Jakob 2021, section 4): the direction stays that of the gradient.

    Attributes:
        parameters: Any shape.
        first_moment: Running mean of the gradients, same shape.
        second_moment: Running mean of their squares, same shape.
        count: Steps taken, those of other parameters before these included.
        uniform: Whether all parameters are divided by the same number.
    """

    parameters: Tensor
    first_moment: Tensor
    second_moment: Tensor
    count: int = 0
    uniform: bool = False

    @classmethod
    def start(cls, parameters: Tensor, count: int = 0, *, uniform: bool = False) -> Self:
        """Return the state before the next step, with moments of zero."""
        return cls(parameters, torch.zeros_like(parameters), torch.zeros_like(parameters), count, uniform)

    def step(self, gradient: Tensor, learning_rate: float, *, since: int = 0) -> Self:
        """Return the state after one step against ``gradient``.

        It moves each parameter by about ``learning_rate``; where it is ``uniform``, none by much more.

        Args:
            gradient: Of the parameters, same shape.
            learning_rate: In units of the parameters.
            since: The ``count`` with which these parameters were started.
        """
        count = self.count + 1
        first = torch.lerp(gradient, self.first_moment, _DECAY[0])
        second = torch.lerp(gradient.square(), self.second_moment, _DECAY[1])
        mean = first / (1 - _DECAY[0] ** (count - since))
        size = ((second.max() if self.uniform else second) / (1 - _DECAY[1] ** (count - since))).sqrt()
        move = learning_rate * mean / size.clamp(min=torch.finfo(size.dtype).tiny)
        return type(self)(self.parameters - move, first, second, count, self.uniform)
