"""The safeguard: first order is not the step, so the step is measured on a fixed probe and cut back if
need be.

The probe holds pictures, noise and its levels fixed (common random numbers): what changes between two measurements is
the model alone. Its pictures are members of the very sets that are trained on, under noise of their own: it shows what
a step does to the losses that are minimised, not how that carries over to other pictures.
"""

from dataclasses import dataclass

import torch

from expunge.unlearning.batches import Batch, LatentSets, draw_batch, generator_of
from expunge.unlearning.problem import Problem
from expunge.unlearning.unlearn_settings import SafeguardSettings

PROBE_SIZE = 32  # pictures of each side


@dataclass(frozen=True)
class ProbeLosses:
    """Forget loss and retain (data) loss on the probe."""

    forget: float
    retain: float


@dataclass(frozen=True)
class Probe:
    """Batches with fixed noise and levels."""

    forget: Batch
    retain: Batch

    def measure(self, problem: Problem) -> ProbeLosses:
        """Both losses of the model as it is now. The retain loss is the data loss, whatever the alignment."""
        return ProbeLosses(
            problem.value(problem.forget_loss, self.forget), problem.value(problem.data_loss, self.retain)
        )


def make_probe(sets: LatentSets, levels: int, seed: int) -> Probe:
    """A probe over up to ``PROBE_SIZE`` members of each set, spread over it.

    Args:
        sets: those that are trained on.
        levels: of the noise process.
        seed: of noise and its levels.
    """
    sides = []
    for stream, data in enumerate((sets.forget, sets.retain)):
        chosen = torch.linspace(0, len(data) - 1, min(PROBE_SIZE, len(data))).long()
        sides.append(draw_batch(data, chosen, levels, generator_of(seed, stream)))
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
        self.start = self.last = base
        self.allowed = ProbeLosses(abs(base.forget) * settings.tolerance, abs(base.retain) * settings.tolerance)
        self.parameters = [p.data for p in problem.parameters.values()]
        self.before = [p.clone() for p in self.parameters]

    def resume(self, last: ProbeLosses) -> None:
        """Go on from where the parameters are now and these were measured."""
        self.last = last
        torch._foreach_copy_(self.before, self.parameters)

    def settle(self) -> float:
        """Accept, shorten or refuse the step since the last call (the first time: since θ₀).

        Returns:
            The share of the way that was kept (1, ½, ¼ … or 0); ``last`` then holds the probe losses there. At 0 the
            parameters are exactly what they were.
        """
        for halving in range(self.settings.halvings + 1):
            now = self.probe.measure(self.problem)
            # Written so that NaN is a rise.
            if now.forget <= self.last.forget + self.allowed.forget and (
                now.retain <= self.last.retain + self.allowed.retain
            ):
                self.resume(now)
                return 0.5**halving
            if halving < self.settings.halvings:
                torch._foreach_lerp_(self.parameters, self.before, 0.5)
        torch._foreach_copy_(self.parameters, self.before)
        return 0.0
