"""The learning rate, measured instead of guessed.

How long a step must be depends on the model by orders of magnitude, and on the target by a factor of two. So the forget
loss is measured further and further from θ₀ along the direction in which unlearning sets out, by forward passes alone,
until it has gone a tenth of its way. That length, cut into ten steps, is the learning rate.
"""

import copy
import math
from collections.abc import Callable
from dataclasses import replace

import torch
from pydantic import BaseModel, ConfigDict

from expunge.errors import ExpungeError
from expunge.unlearning.cache import GradientCache
from expunge.unlearning.data import draw_batch, generator_of
from expunge.unlearning.problem import Problem

WAY = 0.1  # share of the way from the forget loss at θ₀ to −τ, where every element is forgotten enough
FORGOTTEN = 0.01  # of τ: less than that is no way to go
STEPS = 10  # into which that length is cut
PICTURES = 32  # of the forget set; the same ones with the same noise at each length
FIRST, SHORTEST, LONGEST = 1e-3, 1e-9, 1e3  # lengths tried, in units of the learning rate
EPSILON = 1e-8  # of P, as the engine's
NOISE = 4  # stream of randomness; the loop's own are 0 to 3


class Calibration(BaseModel):
    """What was measured, and the rate that follows from it.

    Attributes:
        learning_rate: η.
        lengths: of the step from θ₀, in units of the learning rate: rising, the first is 0.
        forget_losses: truncated forget loss at each length.
        passes: what it cost; a batch that only goes forward counts a third.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    learning_rate: float
    lengths: tuple[float, ...]
    forget_losses: tuple[float, ...]
    passes: float


@torch.no_grad()
def calibrate(problem: Problem, cache: GradientCache, batch_size: int, seed: int) -> Calibration:
    """Measure the learning rate at θ₀.

    The direction is P⁻¹ g_f, with P as `RestrictedAdam` has it at its first step from a warm start.

    Args:
        problem: both objectives, the forget set, and the denoiser at θ₀; left as it is.
        cache: gradients at θ₀.
        batch_size: pictures a pass.
        seed: of noise and timesteps.

    Raises:
        ExpungeError: all is forgotten already, or the forget loss does not fall along its own gradient.
    """
    line = _Line(problem, cache, batch_size, seed)
    losses = {0.0: line.loss_at(0.0)}
    to_go = problem.forget_threshold + losses[0.0]
    if to_go < FORGOTTEN * problem.forget_threshold:
        raise ExpungeError(
            f"learning_rate: cannot be measured, because the forget loss is {losses[0.0]:.3g} at the start already and "
            f"ends at {-problem.forget_threshold:g}; raise forget_threshold, or set a learning rate"
        )
    length = _reaching(losses[0.0] - WAY * to_go, line.loss_at, losses)
    lengths = sorted(losses)
    return Calibration(
        learning_rate=length / STEPS,
        lengths=tuple(lengths),
        forget_losses=tuple(losses[each] for each in lengths),
        passes=len(losses) * len(line.batches) / 3,
    )


def _reaching(goal: float, loss_at: Callable[[float], float], losses: dict[float, float]) -> float:
    """The length at which the loss reaches the goal; every one that is tried goes into ``losses``.

    Doubled or halved until the goal lies between two, then a straight line between their logarithms: the fall of the
    loss grows like a power of the length.
    """
    length = FIRST
    while True:
        losses[length] = loss_at(length)
        reached = not losses[length] > goal  # no longer finite counts as reached
        beyond = length / 2 if reached else length * 2
        if beyond in losses:
            break
        if not SHORTEST <= beyond <= LONGEST:
            raise ExpungeError(
                f"learning_rate: cannot be measured, because the forget loss is {losses[length]:.3g} at the length "
                f"{length:.3g} and {losses[0.0]:.3g} at the start, and should reach {goal:.3g}; set a learning rate"
            )
        length = beyond
    short, long = sorted((length, beyond))
    falls = [losses[0.0] - losses[each] for each in (short, long)]
    if falls[0] <= 0:
        return long
    if not math.isfinite(falls[1]):
        return short
    share = math.log((losses[0.0] - goal) / falls[0]) / math.log(falls[1] / falls[0])
    return short * (long / short) ** share


class _Line:
    """The forget loss on one fixed batch, along the direction in which unlearning sets out."""

    def __init__(self, problem: Problem, cache: GradientCache, batch_size: int, seed: int) -> None:
        forget = problem.forget_set
        if forget is None:
            raise ExpungeError("learning_rate: cannot be measured without a forget set; set a learning rate")
        chosen = torch.linspace(0, len(forget) - 1, min(PICTURES, len(forget))).long()
        timesteps = problem.scheduler.config.num_train_timesteps
        self.batches = [
            draw_batch(forget, indices, timesteps, generator_of(seed, NOISE, i))
            for i, indices in enumerate(chosen.split(batch_size))
        ]
        # A copy moves, so that the denoiser itself is never anywhere but at θ₀.
        self.moving = replace(problem, unet=copy.deepcopy(problem.unet), alignment="data")
        self.start = problem.parameters
        diagonal = cache.preconditioner(problem.retain_weight, EPSILON)
        self.direction = {name: gradient / diagonal[name] for name, gradient in cache.forget.items()}

    def loss_at(self, length: float) -> float:
        """Mean truncated forget loss of the model at θ₀ − length · P⁻¹ g_f."""
        for name, parameter in self.moving.parameters.items():
            if name in self.direction:
                parameter.copy_(torch.add(self.start[name], self.direction[name].to(parameter), alpha=-length))
        total = sum(self.moving.forget_loss(each).item() * len(each) for each in self.batches)
        return total / sum(map(len, self.batches))
