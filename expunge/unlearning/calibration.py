"""The learning rate, measured instead of guessed.

How long a step must be depends on the model by orders of magnitude, and on the target by a factor of two. So the forget
loss is measured further and further from θ₀ along the direction in which unlearning sets out, by forward passes alone,
until it has gone a tenth of its way. That length, cut into ten steps, is the learning rate of a loss without a goal.

A forget loss with a goal cannot go too far: there the learning rate is half of the limit.

How long a step may be depends on the retain loss: along a batch's own gradient it falls, and then rises again. Where it
is back at its start a step retains nothing, and many of them diverge. That length is the limit of a step.
"""

import math
from collections.abc import Mapping, Sequence

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor

from expunge.errors import ExpungeError
from expunge.unlearning.batches import Batch, LatentSet, draw_batch, generator_of
from expunge.unlearning.gradient_cache import GradientCache
from expunge.unlearning.problem import Problem
from expunge.unlearning.sharding import local, shard_of

FORGOTTEN = 0.01  # of the loss's scale: less than that is no way to go
STEPS = 10  # into which that length is cut
SHARE = 0.5  # of the limit, for a forget loss with a goal
PICTURES = 32  # of each set; the same ones with the same noise at each length
RETAIN_BATCHES = 2  # at most: each has a direction of its own, as large as all that is trained
FIRST, SHORTEST, LONGEST = 1e-3, 1e-9, 1e3  # lengths tried, in units of the learning rate
FINE = math.sqrt(2)  # factor between the lengths tried for the limit
FAR = 8.0  # times the learning rate: a limit beyond that is none
EPSILON = 1e-8  # of P, as the engine's
FORGET_NOISE, RETAIN_NOISE = 4, 5  # streams of randomness; the loop's own are 0 to 3


class Calibration(BaseModel):
    """What was measured, and what follows from it.

    Attributes:
        learning_rate: η, at most the limit.
        limit: a longer step raises the retain loss even of the batch that it follows.
        lengths: of the step from θ₀, in units of the learning rate: rising, the first is 0.
        forget_losses: forget loss at each length.
        retain_lengths: likewise, along retain gradients.
        retain_losses: retain (data) loss at each of them, of the batch of which it is the largest share of its start.
        passes: what it cost; a batch that only goes forward counts a third.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    learning_rate: float
    limit: float
    lengths: tuple[float, ...]
    forget_losses: tuple[float, ...]
    retain_lengths: tuple[float, ...]
    retain_losses: tuple[float, ...]
    passes: float


@torch.no_grad()
def calibrate(
    problem: Problem, cache: GradientCache, forget_batch_size: int, retain_batch_size: int, seed: int
) -> Calibration:
    """Measure the learning rate and its limit at θ₀.

    The directions are P⁻¹ g_f and λ P⁻¹ g_r, with P as `RestrictedAdam` has it at its first step from a warm start, g_f
    of the whole forget set and g_r of one retain batch's data loss: that against the original has no gradient at θ₀.

    Args:
        problem: both objectives, both sets, and the denoiser at θ₀, where it is again in the end.
        cache: gradients at θ₀.
        forget_batch_size: pictures a pass.
        retain_batch_size: pictures of a retain batch, as unlearning will draw them.
        seed: of noise and its levels.

    Raises:
        ExpungeError: the sets are not known, all is forgotten already, or a loss does not fall along its own gradient.
    """
    loss, line = problem.objectives.forget_loss, _Line(problem, cache)
    try:
        batches = _batches(problem, problem.sets.forget, forget_batch_size, seed, FORGET_NOISE)
        losses = {0.0: _mean_forget_loss(problem, batches)}
        to_go = losses[0.0] - loss.floor
        if to_go < FORGOTTEN * loss.scale:
            raise ExpungeError(
                f"learning_rate: cannot be measured, because the forget loss is {losses[0.0]:.3g} at the start already "
                f"and ends at {loss.floor:g}; name another forget loss or, if it is truncated, raise forget_threshold"
            )
        rate = FIRST if loss.way is None else _reaching(losses[0.0] - loss.way * to_go, line, batches, losses) / STEPS
        shares, base, passes = _retain_shares(line, rate, retain_batch_size, seed)
    finally:
        line.move_to({}, 0.0)
    limit = max(length for length, share in shares.items() if share <= 1)
    if loss.has_goal:
        rate = limit * SHARE
    lengths, retain_lengths = sorted(losses), sorted(shares)
    return Calibration(
        learning_rate=min(rate, limit),
        limit=limit,
        lengths=tuple(lengths),
        forget_losses=tuple(losses[each] for each in lengths),
        retain_lengths=tuple(retain_lengths),
        retain_losses=tuple(base * shares[each] for each in retain_lengths),
        passes=len(losses) * len(batches) / 3 + passes,
    )


def _mean_forget_loss(problem: Problem, batches: Sequence[Batch]) -> float:
    """Of the denoiser as it is now."""
    return sum(problem.value(problem.forget_loss, each) * len(each) for each in batches) / sum(map(len, batches))


def _reaching(goal: float, line: "_Line", batches: Sequence[Batch], losses: dict[float, float]) -> float:
    """The length along the cached forget gradient at which the loss reaches the goal; those tried go into ``losses``.

    Doubled or halved until the goal lies between two, then a straight line between their logarithms: the fall of the
    loss grows like a power of the length.
    """
    length, direction = FIRST, line.along_cached()
    while True:
        line.move_to(direction, -length)
        losses[length] = _mean_forget_loss(line.problem, batches)
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


def _retain_shares(line: "_Line", rate: float, batch_size: int, seed: int) -> tuple[dict[float, float], float, float]:
    """Retain (data) loss by length, as a share of its start, of the batch where that share is largest.

    Lengths are tried from the rate upwards, to the first at which a loss is above its start or that is far; or
    downwards, to the first at which none is.

    Returns:
        The shares, at 0 as well; the mean loss at 0; the passes.
    """
    problem = line.problem
    batches = _batches(problem, problem.sets.retain, batch_size, seed, RETAIN_NOISE)[:RETAIN_BATCHES]
    line.move_to({}, 0.0)
    starts, directions = list[float](), list[dict[str, Tensor]]()
    for batch in batches:
        with torch.enable_grad():
            start, gradients = problem.gradient(problem.data_loss, [batch])
        starts.append(start)
        directions.append(line.along(gradients, problem.objectives.retain_weight))
        del gradients

    def share(length: float) -> float:
        worst = 0.0
        for batch, direction, start in zip(batches, directions, starts, strict=True):
            line.move_to(direction, -length)
            loss = problem.value(problem.data_loss, batch)
            worst = max(worst, loss / start if math.isfinite(loss) else math.inf)
        return worst

    shares, length = {0.0: 1.0, rate: share(rate)}, rate
    rising = shares[rate] <= 1
    while (shares[length] <= 1) == rising:
        length = length * FINE if rising else length / FINE
        if length < SHORTEST:
            raise ExpungeError(
                "learning_rate: cannot be measured, because the retain loss does not fall along its own gradient; "
                "set a learning rate"
            )
        if length > FAR * rate:
            break
        shares[length] = share(length)
    return shares, sum(starts) / len(starts), len(batches) * (1 + (len(shares) - 1) / 3)


def _batches(problem: Problem, data: LatentSet, batch_size: int, seed: int, stream: int) -> list[Batch]:
    """A few pictures spread over the set, with noise and levels that stay."""
    chosen = torch.linspace(0, len(data) - 1, min(PICTURES, len(data))).long()
    return [
        draw_batch(data, indices, problem.process.levels, generator_of(seed, stream, i))
        for i, indices in enumerate(chosen.split(batch_size))
    ]


def _same(known: Tensor, parameter: Tensor) -> bool:
    """Whether a weight of the original, which may be held in bf16, is the parameter to the bit."""
    return known.dtype == parameter.dtype and torch.equal(known, parameter)


class _Line:
    """Moves the denoiser away from θ₀ and back to it. θ₀ is the original's where that is the same, else a copy."""

    def __init__(self, problem: Problem, cache: GradientCache) -> None:
        self.problem, self.cache = problem, cache
        known = {} if problem.original is None else dict(problem.original.named_parameters())
        self.start = {
            name: local(known[name]) if name in known and _same(local(known[name]), p) else p.clone()
            for name, p in problem.parameters.items()
        }
        self.diagonal = cache.preconditioner(problem.objectives.retain_weight, EPSILON, self._cut)

    def _cut(self, name: str, whole: Tensor) -> Tensor:
        start, ranks = self.start[name], self.problem.ranks
        return shard_of(whole, start, ranks.rank, ranks.size).to(start)

    def along_cached(self) -> dict[str, Tensor]:
        """P⁻¹ g_f, of the parameters for which both are known."""
        return {
            name: self.problem.masked(name, self._cut(name, self.cache.forget[name]) / each)
            for name, each in self.diagonal.items()
        }

    def along(self, gradients: Sequence[Tensor | None], weight: float) -> dict[str, Tensor]:
        """w P⁻¹ g; the gradients are consumed."""
        known = zip(self.start, gradients, strict=True)
        return {
            name: g.mul_(weight).div_(self.diagonal[name])
            for name, g in known
            if g is not None and name in self.diagonal
        }

    def move_to(self, direction: Mapping[str, Tensor], length: float) -> None:
        """To θ₀ + length · direction; where the direction has no entry, to θ₀."""
        for name, parameter in self.problem.parameters.items():
            parameter.copy_(self.start[name])
            if name in direction:
                parameter.add_(direction[name], alpha=length)
