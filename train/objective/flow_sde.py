"""A flow model's stochastic sampler, one step as a Gaussian (Flow-GRPO, Liu et al. 2025)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from sipo.backbones.base import Backbone, append_dims

ETA = 0.7
"""Flow-GRPO's noise level: less explores less, more spoils the picture."""


@dataclass(frozen=True)
class FlowSde:
    """On the `levels` sigma that the pipeline samples at, (S,) float64 from noise down."""

    backbone: Backbone
    levels: Tensor
    eta: float = ETA

    @property
    def timesteps(self) -> Tensor:
        return self.levels * self.backbone.num_train_timesteps - 1

    def step(
        self, noisy: Tensor, output: Tensor, timesteps: Tensor, previous: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of p(x_s | x_t) of (B, ...) rows."""
        t, s = (self._level(place) for place in (timesteps, previous))
        return transition(noisy, output, t, s, self.eta, float(self.levels[1]))

    def clean(self, noisy: Tensor, output: Tensor, timesteps: Tensor) -> Tensor:
        """The step to the clean end has no noise, which would stay in the picture: x - t v."""
        return noisy - append_dims(self._level(timesteps), noisy).to(noisy.dtype) * output

    def _level(self, timesteps: Tensor) -> Tensor:
        return 1 / (1 + self.backbone.snr(timesteps).sqrt())


def transition(
    noisy: Tensor, velocity: Tensor, t: Tensor, s: Tensor, eta: float, second: float
) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of p(x_s | x_t), from noise level t to s < t, (B,) float64:

        x_s = x_t + (v + g^2 / (2 t) (x_t + (1 - t) v)) dt + g sqrt(-dt) z
        g = eta sqrt(t / (1 - t)), dt = s - t                         (Flow-GRPO, Liu et al. 2025)

    so that x_s has the marginal that it has by the flow alone, but for the error of a step of this
    length. With eta = 0 it is Euler's step.

    Near t = 1, where chains begin, g is infinite. As in Flow-GRPO's code the first step takes the
    1 - t of the second level, `second`; here also where a chain begins just below 1 (UniPC's at
    1 - 1e-6, where g^2 would be half a million). That step's noise then has the variance eta^2.
    Near t = 0 nothing grows: g^2 / (2 t) is eta^2 / (2 (1 - t)).
    """
    dt, below = s - t, 1 - t.clamp(max=second)
    pull = eta**2 / (2 * below)
    of_noisy, of_velocity = 1 + pull * dt, (1 + pull * (1 - t)) * dt
    std = eta * (t / below * -dt).sqrt()
    a, b, spread = (append_dims(x, noisy).to(noisy.dtype) for x in (of_noisy, of_velocity, std))
    return a * noisy + b * velocity, spread
