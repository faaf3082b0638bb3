"""The presets keep the contract that new estimators are tested with; and it catches one that is wrong."""

import dataclasses

import pytest
from torch import Tensor

from render3d.estimators import (
    Estimator,
    Gaussian,
    LeaveOneOut,
    Rings,
    Support,
    antithetic,
    leave_one_out,
    local_credit,
)
from render3d.estimators.noisy import Noisy
from render3d.testing.estimators import EstimatorContract


class TestLocalCredit(EstimatorContract):
    calls = 150

    def make_estimator(self) -> Estimator:
        return local_credit(16, scale=0.06)


class TestAlongNormals(EstimatorContract):
    calls = 150

    def make_estimator(self) -> Estimator:
        return local_credit(16, scale=0.06, along="normals")


class TestLeaveOneOut(EstimatorContract):
    bias = 0.2
    calls = 40

    def make_estimator(self) -> Estimator:
        return leave_one_out(64, scale=0.06)


class TestAntithetic(EstimatorContract):
    bias = 0.2
    calls = 40

    def make_estimator(self) -> Estimator:
        return antithetic(64, scale=0.06)


@dataclasses.dataclass(frozen=True)
class _HalfTheImage(Support):
    """A support that forgets what is on the right."""

    def collect(self, advantages: Tensor, noisy: Noisy) -> Tensor:
        width = advantages.shape[-1]
        return Rings().collect(advantages[..., : width // 2].repeat_interleave(2, -1) * 0.5, noisy)


def test_a_wrong_support_is_caught() -> None:
    class Wrong(EstimatorContract):
        calls = 150

        def make_estimator(self) -> Estimator:
            noise = Gaussian(scale=0.06, per_view=True)
            return Estimator(samples=16, noise=noise, support=_HalfTheImage(), signal=LeaveOneOut())

    with pytest.raises(AssertionError, match="BIASED"):
        Wrong().test_it_is_unbiased()
