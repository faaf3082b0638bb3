"""The sequential generative model (Rezende et al. 2016, equations 1-6 and supplement A.2).

==========  ==================================================================  ==========================
equation    what                                                                part
==========  ==================================================================  ==========================
1           ``z_t ~ N(0, I)``                                                   `DiagonalGaussian`
2           ``e_t = f_read(c, s_{t-1})``                                        ``context``
3           ``s_t = f_state(s_{t-1}, z_t, e_t)``                                an LSTM
4           ``h_t = f_write(s_t, h_{t-1})``                                     ``writer``
5           ``x_hat = Proj(h_T, s_T)``                                          ``projection``
6           ``x ~ p(x given x_hat)``                                            ``likelihood``
A.2         ``z_t ~ N(mu(r_t, s_{t-1}, c), sigma(...))``, ``r_t = f_r(x, s_{t-1})``   ``posterior``
==========  ==================================================================  ==========================
"""

from typing import Any, NamedTuple, final

import torch
from torch import Tensor, nn
from torch.profiler import record_function

from render3d.errors import ModelError
from render3d.models.parts.batch import Batch, Inferred
from render3d.models.parts.gaussians import DiagonalGaussian
from render3d.models.parts.layers import mlp
from render3d.models.parts.likelihoods import Likelihood
from render3d.models.parts.projections import Projection
from render3d.models.parts.readers import Reader
from render3d.models.parts.writers import Writer
from render3d.precision import exact, without_autocast
from render3d.randomness import Key, standard_normal

REGION = "projection"
"""What a profiler calls the projection and the likelihood of what it makes."""


class FreeEnergy(NamedTuple):
    """The terms of equation 3, in nats; smaller is better, and the sum bounds ``-log p(x given c)`` from above.

    Attributes:
        reconstruction: ``[N]``: ``-log p(x given z_1..T, c)``, one sample of its mean under q.
        kl: ``[N, T]``: ``KL[q(z_t given z_<t, x) || p(z_t)]`` along the sampled z_<t, in closed form.
        log_ratio: ``[N]``: ``log p(z) - log q(z given x)`` of the sampled z_1..T, of the same mean as ``-kl.sum(1)``.
    """

    reconstruction: Tensor
    kl: Tensor
    log_ratio: Tensor

    @property
    def total(self) -> Tensor:
        """``[N]``."""
        return self.reconstruction + self.kl.sum(1)

    @property
    def log_weight(self) -> Tensor:
        """``log p(x, z given c) - log q(z given x, c)``, ``[N]``: the log of an importance weight.

        The mean of the weight itself is ``p(x given c)`` (Burda et al., "Importance weighted autoencoders", 2016).
        """
        return self.log_ratio - self.reconstruction


@final
class Posterior(nn.Module):
    """q(z_t given z_<t, x, c): autoregressive through the state of the generative transition.

    Args:
        reader: f_r: reads the observation, with weights of its own.
        state: Size of the model's state.
        context: Size of what is read of the context.
        latents: Size of z_t.
        hidden: Size of the hidden layer.
    """

    def __init__(self, reader: Reader, state: int, context: int, latents: int, *, hidden: int = 256) -> None:
        super().__init__()
        self.reader = reader
        self.moments = mlp(reader.size + state + context, hidden, 2 * latents)

    def forward(self, prepared: Any, state: Tensor, context: Tensor) -> DiagonalGaussian:
        """The law of z_t, ``[N, L]``."""
        moments = self.moments(torch.cat([self.reader(prepared, state), state, context], dim=-1))
        mean, log_scale = exact(moments).chunk(2, dim=-1)
        return DiagonalGaussian(mean, 3 * torch.tanh(log_scale / 3))  # scales of 1/20 to 20


@final
class SequentialModel(nn.Module):
    """A generative model of volumes, meshes or views; its parts can be exchanged one by one.

    More steps add no parameters. Every random number is a function of a `Key` and the number of the example, so that
    splitting a batch changes nothing.

    Args:
        steps: T.
        latents: Size of z_t; 0 for a plain network, whose only outcome follows from the context.
        state: Size of the LSTM.
        context: Reads c; `NoReader` for none.
        posterior: q; None where there are no latents.
        writer: Makes the scene.
        projection: Makes ``x_hat`` of it.
        likelihood: Compares that with the observation.
    """

    def __init__(
        self,
        *,
        steps: int,
        latents: int,
        state: int,
        context: Reader,
        posterior: Posterior | None,
        writer: Writer,
        projection: Projection,
        likelihood: Likelihood,
    ) -> None:
        super().__init__()
        if min(steps, state) < 1 or latents < 0:
            raise ModelError(f"steps and state must be at least 1, latents 0; got {steps}, {state} and {latents}.")
        if (latents == 0) != (posterior is None):
            raise ModelError(
                f"A posterior is for a model with latents, and none for one without; got {latents} latents."
            )
        self.steps, self.latents = steps, latents
        self.context, self.posterior = context, posterior
        self.writer, self.projection, self.likelihood = writer, projection, likelihood
        self.transition = nn.LSTMCell(latents + context.size, state)
        self.start = nn.Parameter(torch.zeros(2, state))

    def forward(self, batch: Batch, key: Key) -> FreeEnergy:
        """The free energy of every example (equation 3), with z sampled once."""
        return self.free_energy(batch, self.noise(len(batch.x), key).to(batch.x), key.fold_in(1))

    def free_energy(self, batch: Batch, noise: Tensor, key: Key) -> FreeEnergy:
        """The same for given noise ``[N, T, L]``, from which z is made; ``key`` is for what is random in rendering."""
        states, kl, log_ratio = self._infer(batch, noise)
        scene, last = self.writer(states), exact(states[:, -1])
        with record_function(REGION):
            log_prob = without_autocast(self.projection.log_prob)(
                self.likelihood, batch.x, scene, last, batch.cameras, key
            )
        return FreeEnergy(-log_prob, kl, log_ratio)

    def infer(self, batch: Batch, noise: Tensor) -> tuple[Tensor, Tensor]:
        """States ``[N, T, S]`` with z sampled from q by ``noise`` ``[N, T, L]``, and the KL terms ``[N, T]``."""
        states, kl, _ = self._infer(batch, noise)
        return states, kl

    def imagine(self, latents: Tensor, context: Tensor | None = None) -> Tensor:
        """States ``[N, T, S]`` for given z ``[N, T, L]``; standard normal ones are samples of the prior."""
        prepared = self.context.prepare(context, len(latents))
        carried = self._start(len(latents))
        states = []
        for step in range(self.steps):
            carried = self._next(latents[:, step], self.context(prepared, carried[0]), carried)
            states.append(carried[0])
        return torch.stack(states, dim=1)

    def decode(self, states: Tensor, batch: Batch, key: Key) -> Tensor:
        """``x_hat`` of states ``[N, T, S]``, seen by the cameras of the batch."""
        return self.projection(self.writer(states), states[:, -1], batch.cameras, key)

    def expected(self, states: Tensor, batch: Batch, key: Key) -> Tensor:
        """The mean of ``p(x given x_hat)`` for states ``[N, T, S]``, seen by the cameras of the batch."""
        return self.likelihood.mean(self.decode(states, batch, key))

    def sample(self, count: int, key: Key, context: Tensor | None = None) -> Inferred:
        """Scenes of batch ``[count]`` from the prior."""
        latents = self.noise(count, key).to(self.start)
        return self.writer(self.imagine(latents, context))

    def noise(self, count: int, key: Key) -> Tensor:
        """Standard normal ``[count, T, L]``, a function of the key and the number of the example."""
        return standard_normal(key.fold_in(0), 1, count, (self.steps, self.latents))[0]

    def _infer(self, batch: Batch, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        if self.posterior is None:
            nothing = noise.sum(2)
            return self.imagine(noise, batch.context), nothing, nothing.sum(1)
        observed = self.posterior.reader.prepare(batch.x, len(batch.x))
        context = self.context.prepare(batch.context, len(batch.x))
        carried = self._start(len(batch.x))
        states, means, log_scales = [], [], []
        for step in range(self.steps):
            read = self.context(context, carried[0])
            law = self.posterior(observed, carried[0], read)
            carried = self._next(law.sample(noise[:, step]), read, carried)
            states.append(carried[0])
            means.append(law.mean)
            log_scales.append(law.log_scale)
        law = DiagonalGaussian(torch.stack(means, dim=1), torch.stack(log_scales, dim=1))
        return torch.stack(states, dim=1), law.kl_to_standard(), law.log_ratio(noise).sum(1)

    def _start(self, count: int) -> tuple[Tensor, Tensor]:
        state, memory = self.start[:, None].expand(2, count, -1)
        return state, memory

    def _next(self, z: Tensor, read: Tensor, carried: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        following: tuple[Tensor, Tensor] = self.transition(torch.cat([z, read], dim=-1), carried)
        return following
