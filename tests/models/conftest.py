"""Small models whose every number can be checked."""

from collections.abc import Callable

import pytest
import torch

from render3d.models.parts.layers import TransformKind
from render3d.models.parts.likelihoods import Bernoulli, Likelihood
from render3d.models.parts.projections import Identity, Projection
from render3d.models.parts.readers import GridReader, NoReader, Reader
from render3d.models.parts.sequential import Posterior, SequentialModel
from render3d.models.parts.writers import CanvasWriter, Writer

Build = Callable[..., SequentialModel]


@pytest.fixture(autouse=True)
def _nobody_looks_at_turntables(small_turntables: None) -> None:
    pass


@pytest.fixture
def build() -> Build:
    """A model of volumes ``[1, n, n, n]``, or with other parts; 64-bit, with weights large enough to matter."""

    def make(
        *,
        steps: int = 2,
        latents: int = 3,
        state: int = 7,
        n: int = 4,
        context: Reader | None = None,
        reader: Reader | None = None,
        writer: Writer | None = None,
        projection: Projection | None = None,
        likelihood: Likelihood | None = None,
        transform: TransformKind = "scale_shift",
        seed: int = 0,
    ) -> SequentialModel:
        torch.manual_seed(seed)
        context = context or NoReader()
        reader = reader or GridReader((1, n, n, n), state, size=5, features=2, glimpse=2, transform=transform)
        model = SequentialModel(
            steps=steps,
            latents=latents,
            state=state,
            context=context,
            posterior=Posterior(reader, state, context.size, latents, hidden=6),
            writer=writer or CanvasWriter(state, (n, n, n), patch=2, hidden=6, transform=transform, empty=-0.5),
            projection=projection or Identity(),
            likelihood=likelihood or Bernoulli(),
        ).double()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.mul_(2.0)
            model.start.normal_()
        return model

    return make
