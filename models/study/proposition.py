"""Proposition A.1 by exact sums: how far completion by a wrong recognition model goes astray.

Rezende et al. 2016, supplement A.10, equations (4)-(7), for models in which everything is discrete, so that integrals
are sums and every number here is exact to rounding. `render3d.models.study.completion.complete` runs the chain itself.
What the printed proposition does and does not say is on the page :doc:`/completion_theory`.

``z`` has Z values, the observed part ``x_o`` has O, the missing part ``x_u`` has U. All is computed in float64.
"""

import dataclasses
from typing import NamedTuple, final

import torch
from torch import Tensor

from render3d.errors import ModelError

_ROUNDING = 1e-5  # of sums of float32
_COIN = torch.tensor([0.5, 0.5], dtype=torch.float64)


@final
@dataclasses.dataclass(frozen=True, eq=False)
class DiscreteModel:
    """A latent-variable model that can be summed over.

    Attributes:
        prior: ``p(z)``, ``[Z]``.
        likelihood: ``p(x_o, x_u given z)``, ``[Z, O, U]``; `factorised` makes one whose parts are independent given z.

    Raises:
        ModelError: Shapes that do not fit, a law that does not sum to one, or a z or an x without probability, for
            which equation (6) or the posterior is undefined.
    """

    prior: Tensor
    likelihood: Tensor

    def __post_init__(self) -> None:
        shape = self.likelihood.shape
        if self.prior.ndim != 1 or len(shape) != 3 or len(self.prior) != shape[0]:
            raise ModelError(
                f"prior and likelihood must be [Z] and [Z, O, U]; got {list(self.prior.shape)} and {list(shape)}."
            )
        object.__setattr__(self, "prior", _law("prior", self.prior))
        object.__setattr__(self, "likelihood", _law("likelihood", self.likelihood.flatten(1)).reshape(shape))
        if bool((self.prior == 0).any() or (self.evidence == 0).any()):
            raise ModelError("Every z and every x must have some probability. Leave out what never happens.")

    @classmethod
    def factorised(cls, prior: Tensor, observed: Tensor, missing: Tensor) -> "DiscreteModel":
        """From ``p(x_o given z)``, ``[Z, O]``, and ``p(x_u given z)``, ``[Z, U]``: as where each voxel is by itself."""
        return cls(prior, observed[:, :, None] * missing[:, None, :])

    @property
    def evidence(self) -> Tensor:
        """``p(x) = sum_z p(z) p(x given z)``, ``[O, U]``."""
        return torch.einsum("z,zou->ou", self.prior, self.likelihood)

    @property
    def posterior(self) -> Tensor:
        """``p(z given x)``, ``[O, U, Z]``: the recognition model that makes no error."""
        joint = self.prior[:, None, None] * self.likelihood
        return (joint / self.evidence).permute(1, 2, 0)

    @property
    def observed(self) -> Tensor:
        """``p(x_o)``, ``[O]``."""
        return self.evidence.sum(1)

    @property
    def target(self) -> Tensor:
        """``p(x_u given x_o)``, ``[O, U]``: what a completion should be drawn from."""
        return self.evidence / self.observed[:, None]


def kernel(model: DiscreteModel, recognition: Tensor) -> Tensor:
    """Equation (4): ``K^q(x_u' given x_u, x_o) = sum_z p(x_u' given z) q(z given x)``, ``[O, U, U]``, rows sum to 1.

    The new observed part x_o' is summed over, that is discarded. With ``model.posterior`` it is equation (5).

    Args:
        model: p.
        recognition: ``q(z given x)``, ``[O, U, Z]``.

    Raises:
        ModelError: The shape does not fit, or a law does not sum to one.
    """
    return _recognition(model, recognition) @ model.likelihood.sum(1)


def errors_of_recognition(model: DiscreteModel, recognition: Tensor) -> Tensor:
    """The left side of (6), ``sum_x |q(z given x) p(x) / p(z) - p(x given z)|``, ``[Z]``: epsilon is its maximum.

    Its mean under p(z) is ``sum_x p(x) ||q(. given x) - p(. given x)||_1``.

    Raises:
        ModelError: As in `kernel`.
    """
    scaled = _recognition(model, recognition).permute(2, 0, 1) * model.evidence / model.prior[:, None, None]
    return (scaled - model.likelihood).abs().sum((1, 2))


def dobrushin(kernel: Tensor) -> Tensor:
    """How much of a difference survives a step, 0 to 1: ``max_ij ||K_i - K_j||_1 / 2`` over rows of ``[..., N, M]``.

    For any two laws, ``||a K - b K||_1 <= dobrushin(K) ||a - b||_1``, and no smaller number will do (Dobrushin, 1956).
    """
    differences = kernel.double()[..., :, None, :] - kernel.double()[..., None, :, :]
    return differences.abs().sum(-1).amax((-2, -1)) / 2


def stationary(kernel: Tensor) -> Tensor:
    """The law that a chain settles on, ``pi = pi K``, ``[..., N]``, of a kernel ``[..., N, N]`` whose rows sum to one.

    Raises:
        ModelError: There are several: parts of the space never reach one another.
    """
    kernel = kernel.double()
    count = kernel.shape[-1]
    leaving = torch.eye(count, dtype=torch.float64) - kernel
    if bool((torch.linalg.matrix_rank(leaving) < count - 1).any()):
        raise ModelError(
            "The kernel has several stationary laws: where the chain ends depends on where it began. Give every value "
            "of x_u some probability under every z."
        )
    # pi (I - K) = 0 and sum(pi) = 1 in one regular system: pi (I - K + 1) = 1.
    law: Tensor = torch.linalg.solve((leaving + 1).mT, torch.ones(kernel.shape[:-1], dtype=torch.float64))
    return law


class Completion(NamedTuple):
    """What proposition A.1 speaks of, exactly; ``[O]`` is one number for every x_o. Distances are L1 norms, at most 2.

    Attributes:
        epsilon: The least number for which (6) holds.
        observed: ``p(x_o)``, ``[O]``.
        fixed_point_error: The left side of (7), ``||p(. given x_o) K^q - p(. given x_o) K||``, ``[O]``.
        one_step_error: ``||p(. given x_o) K^q - p(. given x_o)||``, ``[O]``: the same where x_o and x_u are independent
            given z, for there the target is a fixed point of K.
        stationary: The marginal that the chain settles on, ``[O, U]``.
        stationary_error: ``||stationary - p(. given x_o)||``, ``[O]``.
        contraction: The Dobrushin coefficient of ``K^q(. given ., x_o)``, ``[O]``.
    """

    epsilon: float
    observed: Tensor
    fixed_point_error: Tensor
    one_step_error: Tensor
    stationary: Tensor
    stationary_error: Tensor
    contraction: Tensor

    @property
    def mean_fixed_point_error(self) -> float:
        """The left side of (7) averaged under p(x_o): at most `epsilon`. This is what the printed proof proves."""
        return float(self.observed @ self.fixed_point_error)

    @property
    def fixed_point_bound(self) -> Tensor:
        """``epsilon / p(x_o)``, ``[O]``: at least `fixed_point_error`."""
        return self.epsilon / self.observed

    @property
    def stationary_bound(self) -> Tensor:
        """``one_step_error / (1 - contraction)``, ``[O]``: at least `stationary_error`; infinite at contraction 1."""
        return torch.where(self.contraction < 1, self.one_step_error / (1 - self.contraction), torch.inf)


def completion(model: DiscreteModel, recognition: Tensor) -> Completion:
    """Everything at once, for ``q(z given x)`` of ``[O, U, Z]``.

    Raises:
        ModelError: As in `kernel` and `stationary`.
    """
    wrong, right = kernel(model, recognition), kernel(model, model.posterior)
    target, settled = model.target, stationary(wrong)
    after = _step(target, wrong)
    return Completion(
        epsilon=float(errors_of_recognition(model, recognition).max()),
        observed=model.observed,
        fixed_point_error=_distance(after, _step(target, right)),
        one_step_error=_distance(after, target),
        stationary=settled,
        stationary_error=_distance(settled, target),
        contraction=dobrushin(wrong),
    )


class Example(NamedTuple):
    """A model of two values for each part, and a recognition model ``[O, 2, Z]`` for it."""

    model: DiscreteModel
    recognition: Tensor


def rare_observation(rarity: float = 0.01, noise: float = 0.05) -> Example:
    """Right but for one x_o, of probability ``rarity``, where q always says z = 0.

    epsilon is ``rarity``, and the left side of (7) at that x_o is ``1 - 2 noise``: (7) does not hold for every x_o.

    Args:
        rarity: ``p(x_o = 1)``, whatever z.
        noise: ``p(x_u != z given z)``.
    """
    model = DiscreteModel.factorised(_COIN, _rows(1 - rarity, 1 - rarity), _rows(1 - noise, noise))
    recognition = model.posterior
    recognition[1] = torch.tensor([1.0, 0.0], dtype=torch.float64)
    return Example(model, recognition)


def sticky_chain(noise: float = 5e-4, error: float = 6e-3) -> Example:
    """One x_o only, z seldom changes, and q sees z = 0 in ``x_u = 1`` by ``error`` too often.

    epsilon is ``error``, and the left side of (7) is ``(1 - 2 noise) error``. But the chain goes from 0 to 1 at a rate
    of about ``2 noise``, so that little tips it: where it settles is at an L1 distance from the target that tends to 1
    as ``noise`` tends to 0. (7) does not bound where the chain ends.

    Args:
        noise: ``p(x_u != z given z)``.
        error: What is added to ``q(z = 0 given x_u = 1)``; at most ``1 - noise``.
    """
    alone = torch.ones(2, 1, dtype=torch.float64)
    model = DiscreteModel.factorised(_COIN, alone, _rows(1 - noise, noise))
    recognition = model.posterior
    recognition[0, 1] += torch.tensor([error, -error], dtype=torch.float64)
    return Example(model, recognition)


def dependent_parts(agreement: float = 0.95) -> Example:
    """One z only, ``x_u = x_o`` with probability ``agreement``, and q exact.

    epsilon is 0, and the chain ends at the L1 distance ``2 agreement - 1``: K discards x_o', so that it has the right
    fixed point only where x_o and x_u are independent given z.
    """
    agree, differ = agreement / 2, (1 - agreement) / 2
    likelihood = torch.tensor([[[agree, differ], [differ, agree]]], dtype=torch.float64)
    model = DiscreteModel(torch.ones(1, dtype=torch.float64), likelihood)
    return Example(model, model.posterior)


def _rows(first: float, second: float) -> Tensor:
    """The law of a bit for z = 0 and z = 1, from its probabilities of 0."""
    return torch.tensor([[first, 1 - first], [second, 1 - second]], dtype=torch.float64)


def _step(law: Tensor, kernel: Tensor) -> Tensor:
    return (law[:, None, :] @ kernel)[:, 0]


def _distance(first: Tensor, second: Tensor) -> Tensor:
    return (first - second).abs().sum(-1)


def _recognition(model: DiscreteModel, values: Tensor) -> Tensor:
    count, observed, missing = model.likelihood.shape
    shape = [observed, missing, count]
    if list(values.shape) != shape:
        raise ModelError(f"recognition must be [O, U, Z], here {shape}; got {list(values.shape)}.")
    return _law("recognition", values)


def _law(name: str, values: Tensor) -> Tensor:
    """Float64 laws along the last dimension, without what rounding to float32 left of a sum other than one."""
    values = values.double()
    total = values.sum(-1, keepdim=True)
    if not bool((values >= 0).all() and ((total - 1).abs() < _ROUNDING).all()):
        worst = float(total.flatten()[(total.flatten() - 1).abs().argmax()])
        raise ModelError(
            f"{name} must hold probabilities that sum to one; the least is {float(values.min()):g}, and the sum "
            f"farthest from one is {worst:g}. Divide by the sum."
        )
    return values / total
