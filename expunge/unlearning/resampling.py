"""Retain batches that look more often where the model has drifted.

A part of each batch keeps the balanced order, so that every stratum goes on being seen and measured; the rest is drawn
in proportion to the strata's drift, which the retain batches themselves show: no extra pass is made.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from expunge.unlearning.batches import StratifiedSampler, generator_of
from expunge.unlearning.unlearn_settings import ResamplingSettings

# Stream of randomness of the draws by drift; the balanced order's streams are 0 and up.
DRIFT_STREAM = -1


class DriftSampler:
    """The balanced order and, behind it in each batch, draws in proportion to each stratum's drift.

    Drift of a stratum is the moving average of its pictures' retain losses. A stratum not seen yet counts as the mean
    of those that were; before any loss has been seen, all count alike. Draws by drift are systematic: a stratum with
    share p of the drift gets ⌊kp⌋ or ⌈kp⌉ of k of them, kp on average, and members of a stratum take turns. They depend
    on seed, number of the batch and what has been observed, which `state_dict` holds.

    Args:
        strata: one name for each member.
        batch_size: members a batch.
        seed: of the order and of the draws.
        settings: share and decay; both parts of a batch must hold at least one member.
    """

    def __init__(self, strata: list[str], batch_size: int, seed: int, settings: ResamplingSettings) -> None:
        self.settings, self.seed, self.drawn = settings, seed, settings.drawn(batch_size)
        self.balanced = StratifiedSampler(strata, batch_size - self.drawn, seed)
        self.stratum_of = torch.empty(len(strata), dtype=torch.int64)
        for number, members in enumerate(self.balanced.members):
            self.stratum_of[members] = number
        # Sum of losses and their count, both fading, by stratum.
        self.losses, self.weights = torch.zeros(2, len(self.balanced.members), dtype=torch.float64)

    def batch(self, number: int) -> Tensor:
        """Members of batch ``number``, the balanced ones first, int64 ``(batch_size,)``."""
        generator = generator_of(self.seed, DRIFT_STREAM, number)
        bounds = self.shares().cumsum(0)
        # One point in each of equal slices: their common offset is the only thing random.
        points = (torch.arange(self.drawn) + torch.rand(1, generator=generator, dtype=torch.float64)) / self.drawn
        strata = torch.searchsorted(bounds, points * bounds[-1], right=True).clamp(max=len(bounds) - 1)
        drawn: list[int] = []
        for stratum, count in zip(*strata.unique(return_counts=True), strict=True):
            members = self.balanced.members[int(stratum)]
            order = torch.randperm(len(members), generator=generator)
            drawn += [members[int(order[k % len(members)])] for k in range(int(count))]
        shuffled = torch.tensor(drawn)[torch.randperm(self.drawn, generator=generator)]
        return torch.cat([self.balanced.batch(number), shuffled])

    def batches_to_cover(self) -> int:
        """How many batches it takes for the balanced order to show every member at least once."""
        return self.balanced.batches_to_cover()

    def shares(self) -> Tensor:
        """Share of the drift by stratum, in the order of their names: float64, sums to 1."""
        seen = self.weights > 0
        drift = self.losses / self.weights.clamp(min=torch.finfo(torch.float64).tiny)
        if not drift[seen].any():
            return torch.full_like(drift, 1 / len(drift))
        drift[~seen] = drift[seen].mean()
        return drift / drift.sum()

    def observe(self, indices: Tensor, losses: Tensor) -> None:
        """Take in the retain losses of pictures, ``(k,)`` at ``indices``.

        Where all are zero the model is still the original, against which it is measured: that says nothing.
        """
        if not losses.any():
            return
        strata = self.stratum_of[indices]
        self.losses.mul_(self.settings.decay).index_add_(0, strata, losses.cpu().double())
        self.weights.mul_(self.settings.decay).index_add_(0, strata, torch.ones(len(strata), dtype=torch.float64))

    def state_dict(self) -> dict[str, Tensor]:
        """What has been observed, by stratum."""
        return {"losses": self.losses, "weights": self.weights}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take back what `state_dict` gave."""
        self.losses.copy_(state["losses"])
        self.weights.copy_(state["weights"])
