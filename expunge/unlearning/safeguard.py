"""The safeguard: first order is not the step, so the step is measured on a fixed probe and cut back if
need be.

The probe holds latents, noise and its levels fixed (common random numbers): what changes between two
measurements is the model alone.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from expunge.unlearning.batches import Batch, LatentSet, denoising_error, draw_batch, generator_of
from expunge.unlearning.objectives import retain_loss, truncated_forget_loss
from expunge.unlearning.problem import Problem
from expunge.unlearning.unlearn_settings import SafeguardSettings


@dataclass(frozen=True)
class ProbeLosses:
    """Truncated forget loss and retain (data) loss on the probe."""

    forget: float
    retain: float


@dataclass(frozen=True)
class Probe:
    """Held-out batches with fixed noise and levels."""

    forget: tuple[Batch, ...]
    retain: tuple[Batch, ...]

    @torch.no_grad()
    def measure(self, problem: Problem) -> ProbeLosses:
        """Both losses of the model as it is now. The retain loss is the data loss, whatever the alignment."""
        first = next(iter(problem.parameters.values()))

        def mean(batches: tuple[Batch, ...], loss: Callable[[Tensor], Tensor]) -> float:
            total = sum(map(len, batches))
            return sum(
                len(b) / total * loss(denoising_error(problem.denoiser, problem.process, placed)).item()
                for b in batches
                for placed in [b.to(first.device, first.dtype)]
            )

        return ProbeLosses(
            forget=mean(self.forget, lambda error: truncated_forget_loss(error, problem.forget_threshold)),
            retain=mean(self.retain, retain_loss),
        )


def make_probe(forget: LatentSet, retain: LatentSet, *, levels: int, seed: int, batch_size: int = 64) -> Probe:
    """A probe over all members of two held-out sets.

    Args:
        forget: held-out forget set.
        retain: held-out retain set.
        levels: of the noise process.
        seed: of noise and its levels.
        batch_size: pictures a forward pass.
    """
    sides = []
    for stream, data in enumerate((forget, retain)):
        generator = generator_of(seed, stream)
        sides.append(tuple(draw_batch(data, torch.arange(len(data)), levels, generator).split(batch_size)))
    return Probe(*sides)


class Safeguard:
    """Halves or refuses steps that raise a probe loss.

    The optimiser's moments keep what they have seen: the gradients were true where they were taken.

    Args:
        probe: what is measured.
        problem: whose parameters are guarded, at θ₀.
        settings: tolerance and number of halvings.
    """

    def __init__(self, probe: Probe, problem: Problem, settings: SafeguardSettings) -> None:
        self.probe, self.problem, self.settings = probe, problem, settings
        base = probe.measure(problem)
        self.allowed = ProbeLosses(abs(base.forget) * settings.tolerance, abs(base.retain) * settings.tolerance)
        self.parameters = [p.data for p in problem.parameters.values()]
        # Where the last measurement was taken, by name.
        self.before = {name: p.detach().clone() for name, p in problem.parameters.items()}

    def settle(self, last: ProbeLosses) -> tuple[float, ProbeLosses]:
        """Accept, shorten or refuse what has been done since the last call (the first time: since θ₀).

        That is one step, or all steps since, where not every step is probed.

        Args:
            last: probe losses at the last call.

        Returns:
            The share of the way that was kept (1, ½, ¼ … or 0) and the probe losses there. At 0 the
            parameters are exactly what they were.
        """
        before = list(self.before.values())
        for halving in range(self.settings.halvings + 1):
            now = self.probe.measure(self.problem)
            # Written so that NaN is a rise.
            if now.forget <= last.forget + self.allowed.forget and now.retain <= last.retain + self.allowed.retain:
                torch._foreach_copy_(before, self.parameters)
                return 0.5**halving, now
            if halving < self.settings.halvings:
                torch._foreach_lerp_(self.parameters, before, 0.5)
        torch._foreach_copy_(self.parameters, before)
        return 0.0, last
