"""Completion of volumes by a Markov chain (Rezende et al. 2016, supplement A.10).

One step of the kernel (4): z is drawn from q(z given x), a whole new volume from p(x' given z); of that, the part that
was missing is kept, and the part that is observed is discarded. Proposition A.1 speaks of this chain.
"""

import itertools
from collections.abc import Iterator
from typing import Literal, NamedTuple

import torch
from torch import Generator, Tensor

from render3d.errors import ModelError
from render3d.models.parts.batch import Batch
from render3d.models.parts.sequential import SequentialModel
from render3d.randomness import Key

Feedback = Literal["sample", "mean"]

_OF_OBSERVATIONS = 2


class ChainState(NamedTuple):
    """After one step of the chain.

    Attributes:
        x: ``[N, ...]``: what is observed as it is, the rest as the step left it.
        mean: ``[N, ...]``: the expectation of the new volume, before anything was drawn or kept.
    """

    x: Tensor
    mean: Tensor


@torch.no_grad()
def complete(
    model: SequentialModel,
    x: Tensor,
    observed: Tensor,
    key: Key,
    context: Tensor | None = None,
    *,
    feedback: Feedback = "sample",
    noise_rate: float = 0.05,
) -> Iterator[ChainState]:
    """The chain, without an end; take as many steps as are wanted (``itertools.islice``).

    Args:
        model: A model of volumes, in evaluation mode.
        x: ``[N, 1, D, H, W]``; what lies outside ``observed`` is never looked at, and starts as noise.
        observed: Bool, of a shape that broadcasts to that of ``x``: which voxels are known; any mask.
        key: Of all randomness.
        context: As in `Batch`.
        feedback: ``"sample"``: the paper's chain. ``"mean"`` feeds expectations back instead of samples: another chain,
            without randomness in x, which is smoother and is no Gibbs sampler of anything.

        noise_rate: The share of ones in the noise. The paper does not say. Fair coins are half a volume of matter, in
            which the posterior sees one large object that the chain then keeps for long; 0.05 is about what the paper's
            volumes hold.

    Raises:
        ModelError: A mask that is not bool or does not broadcast, that leaves nothing to observe or to complete,
            another feedback, or a rate outside 0-1.
    """
    known = _checked(x, observed)
    if not 0 <= noise_rate <= 1:
        raise ModelError(f"noise_rate must lie in 0-1; got {noise_rate}.")
    if feedback not in ("sample", "mean"):
        raise ModelError(f"feedback must be 'sample' or 'mean'; got {feedback!r}.")
    noise = (torch.rand(x.shape, generator=_generator(key)) < noise_rate).to(x)
    return _chain(model, torch.where(known, x, noise), known, key, context, feedback)


def _chain(
    model: SequentialModel, start: Tensor, known: Tensor, key: Key, context: Tensor | None, feedback: Feedback
) -> Iterator[ChainState]:
    current = start
    for step in itertools.count(1):
        own = key.fold_in(step)
        with torch.no_grad():
            noise = model.noise(len(start), own).to(start)
            batch = Batch(current, context)
            states, _ = model.infer(batch, noise)
            x_hat = model.decode(states, batch, own.fold_in(1))
            mean = model.likelihood.mean(x_hat)
            new = mean if feedback == "mean" else model.likelihood.sample(x_hat, _generator(own))
            current = torch.where(known, start, new)
        yield ChainState(current, mean)


def _generator(key: Key) -> Generator:
    return Generator().manual_seed(key.fold_in(_OF_OBSERVATIONS).seed)


def _checked(x: Tensor, observed: Tensor) -> Tensor:
    try:
        known = observed.to(x.device).expand(x.shape)
    except RuntimeError:
        raise ModelError(
            f"observed must broadcast to the shape of x, {list(x.shape)}; got {list(observed.shape)}."
        ) from None
    if observed.dtype != torch.bool:
        raise ModelError(f"observed must be bool, true where a voxel is known; got {observed.dtype}.")
    counts = known.flatten(1).sum(1)
    if bool((counts == 0).any() or (counts == known[0].numel()).any()):
        raise ModelError("observed must leave something to see and something to complete in every example.")
    return known


def potential_scale_reduction(chains: Tensor) -> Tensor:
    """Split R-hat, ``[...]``, of a number along chains ``[M, S, ...]``: near 1 if they have forgotten their starts.

    Each chain counts as two halves (Gelman and Rubin, 1992; the split of Gelman et al., "Bayesian Data Analysis", 3rd
    edition, 11.4). Chains that never move and agree give 1; that never move and differ, infinity.

    Raises:
        ModelError: Less than four steps.
    """
    half = chains.shape[1] // 2
    if half < 2:
        raise ModelError(f"A diagnostic needs chains of at least four steps; got {chains.shape[1]}.")
    halves = torch.cat([chains[:, :half], chains[:, -half:]]).double()
    within = halves.var(1).mean(0)
    between = halves.mean(1).var(0)
    ratio = ((half - 1) / half * within + between) / within
    return torch.where(within > 0, ratio, torch.where(between > 0, torch.inf, 1.0)).sqrt()


def volume_iou(first: Tensor, second: Tensor, where: Tensor, tolerance: int = 0) -> Tensor:
    """Intersection over union of occupied voxels (above a half), counted ``where`` it is true: ``[N]``.

    Two that are empty there agree: 1.

    Args:
        first: ``[N, 1, D, H, W]``.
        second: The same.
        where: Bool, broadcasting to these.
        tolerance: A voxel is in both if the other has one within so many voxels along each axis: for thin structures,
            which a shift by one voxel would otherwise take apart. ``IoU = D / (2 - D)`` for the Dice coefficient D, the
            share of the voxels of both that is in both.
    """
    a, b = (first > 0.5) & where, (second > 0.5) & where
    both = ((a & _grown(b, tolerance)).flatten(1).sum(1) + (b & _grown(a, tolerance)).flatten(1).sum(1)).float()
    all_of_them = (a.flatten(1).sum(1) + b.flatten(1).sum(1)).float()
    return torch.where(all_of_them > 0, both / (2 * all_of_them - both).clamp(min=1), 1.0)


def _grown(occupied: Tensor, voxels: int) -> Tensor:
    if voxels == 0:
        return occupied
    return torch.nn.functional.max_pool3d(occupied.float(), 2 * voxels + 1, stride=1, padding=voxels) > 0


def nearest(x: Tensor, observed: Tensor, training: Tensor) -> Tensor:
    """``[N, ...]``: the training volume that differs from each ``x`` in the fewest observed voxels.

    Args:
        x: ``[N, ...]``.
        observed: Bool, broadcasting to one example.
        training: ``[K, ...]``.
    """
    known = observed.expand(x.shape)[0].flatten()
    a, b = x.flatten(1)[:, known], training.flatten(1)[:, known]
    return training[torch.cdist(a, b, p=1).argmin(1)]
