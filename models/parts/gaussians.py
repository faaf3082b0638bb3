"""Diagonal Gaussians: the latents of the model."""

from typing import NamedTuple

from torch import Tensor


class DiagonalGaussian(NamedTuple):
    """Independent normal variables, ``[..., L]``."""

    mean: Tensor
    log_scale: Tensor

    def sample(self, noise: Tensor) -> Tensor:
        """``mean + scale * noise``, for standard normal noise (reparameterised: Kingma and Welling, 2014)."""
        return self.mean + self.log_scale.exp() * noise

    def kl_to_standard(self) -> Tensor:
        """``KL[q || N(0, I)]`` in nats, ``[...]``: the closed form, summed over the last dimension."""
        variance = (2 * self.log_scale).exp()
        return (0.5 * (self.mean.square() + variance - 1) - self.log_scale).sum(-1)

    def log_ratio(self, noise: Tensor) -> Tensor:
        """``log N(z; 0, I) - log q(z)`` in nats at ``z = sample(noise)``, ``[...]``; its mean is the negative KL."""
        return (0.5 * (noise.square() - self.sample(noise).square()) + self.log_scale).sum(-1)
