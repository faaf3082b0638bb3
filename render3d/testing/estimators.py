"""What a new noise, support or signal is tested with, as tests to inherit. They need pytest.

class TestMine(EstimatorContract):
    def make_estimator(self):
        return Estimator(samples=16, noise=Gaussian(scale=0.05), support=MySupport(), signal=LeaveOneOut())
"""

import torch
from torch import Tensor

from render3d.cameras import Cameras
from render3d.estimators import Estimator, Smoothed, check_gradient, expected_loss
from render3d.images import Rendering
from render3d.randomness import Key
from render3d.renderers import OpenGL
from render3d.scenes import Mesh
from render3d.testing.scenes import torus

_POWER = 5.4  # standard errors of a bias that is found with a power of 99 % at |z| > 3


class EstimatorContract:
    """Tests of an estimator's gradients, through `OpenGL` and of a ring that hides a part of itself.

    Attributes:
        bias: That the test must be able to find, with a power of 99 %, as a share of the gradient; None for estimators
            that claim no unbiasedness.
        calls: Of the estimator, until that is possible.
    """

    bias: float | None = 0.1
    calls = 200

    def make_estimator(self) -> Estimator:
        """The estimator under test; to be overridden."""
        raise NotImplementedError

    def test_it_is_unbiased(self) -> None:
        """Against central differences of the smoothed loss; see `render3d.check_gradient`."""
        if self.bias is None:
            return
        smoothed = Smoothed(OpenGL(), self.make_estimator())
        found = check_gradient(smoothed, _mesh(), _cameras(), _loss, calls=self.calls, generator=Key(0))
        assert _POWER * found.relative_bias_error <= self.bias, f"too noisy to tell; use more calls: {found}"
        assert found.ok, str(found)

    def test_one_key_is_one_gradient(self) -> None:
        assert torch.equal(self._gradient(_mesh(), Key(1)), self._gradient(_mesh(), Key(1)))
        assert not torch.equal(self._gradient(_mesh(), Key(1)), self._gradient(_mesh(), Key(2)))

    def test_a_batch_may_be_split(self) -> None:
        """Noise is a function of the key, the example and the sample, whatever is drawn in one call."""
        mesh = _mesh()
        both = mesh.with_vertices(torch.stack([mesh.vertices, 0.9 * mesh.vertices]))
        whole = self._gradient(both, Key(3))
        for example in range(2):
            alone = self._gradient(both[example : example + 1], Key(3, first_example=example))
            # Where OpenGL draws an image rounds its edges; another noise would make a difference of more than one.
            assert float((whole[example : example + 1] - alone).norm() / alone.norm()) < 0.2

    def test_it_is_linear_in_the_loss(self) -> None:
        once, twice = self._gradient(_mesh(), Key(4)), self._gradient(_mesh(), Key(4), scale=2.0)
        torch.testing.assert_close(2 * once, twice, rtol=1e-4, atol=1e-4)

    def test_it_is_finite_and_not_nothing(self) -> None:
        gradient = self._gradient(_mesh(), Key(5))
        assert bool(gradient.isfinite().all())
        assert float(gradient.norm()) > 0

    def _gradient(self, mesh: Mesh, key: Key, scale: float = 1.0) -> Tensor:
        vertices = mesh.vertices.clone().requires_grad_()
        loss = expected_loss(
            OpenGL(),
            mesh.with_vertices(vertices),
            _cameras(),
            lambda image: scale * _loss(image),
            self.make_estimator(),
            outputs=("alpha",),
            generator=key,
        )
        return torch.autograd.grad(loss.sum(), vertices)[0]


def _mesh() -> Mesh:
    return torus(12, 6)


def _cameras() -> Cameras:
    return Cameras.orbit(2, 3.0, elevation_degrees=15.0, vertical_fov_degrees=46.0, image_size=(24, 32))


def _loss(image: Rendering) -> Tensor:
    """The squared difference to a half-plane: not linear in the image, and without symmetry."""
    height, width = image.image_size
    pattern = (torch.arange(width) + 2 * torch.arange(height)[:, None] < 40).float()
    return (image.alpha - pattern).square().squeeze(-3)
