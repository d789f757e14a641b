"""The processes that train one denoiser together: each takes its part of every batch, and all make the same step.

Replicated, each holds all parameters, and gradients are summed over the processes. Sharded, each holds a part of every
parameter, gradients are summed and cut by FSDP2, and of the restricted gradient three numbers are exchanged
(`expunge.unlearning.gradients`): products of shards add up to products.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.distributed as dist
from torch import Tensor

from expunge.unlearning.gradients import NonFiniteGradientError

if TYPE_CHECKING:
    from expunge.unlearning.batches import Batch

OTHER = "another process found a gradient that is not finite, and says which; lower the learning rate"


@dataclass(frozen=True)
class Ranks:
    """Which of how many processes this is.

    Attributes:
        rank: 0 … size − 1.
        size: number of processes; their default group in ``torch.distributed`` is there if there are several.
        sharded: whether each holds a part of every parameter instead of all.
        device: type of the device on which each computes, as torch calls it.
    """

    rank: int = 0
    size: int = 1
    sharded: bool = False
    device: str = "cpu"

    @property
    def first(self) -> bool:
        """Whether this is the one that tells and writes."""
        return self.rank == 0

    def parts(self, batches: Iterable[Batch]) -> list[tuple[Batch, float]]:
        """This process's part of each batch, and its share of all their members; of all processes these add up to 1.

        Where there are fewer members than processes, some take one that counts nothing: within a sharded denoiser all
        have to go through the same passes.
        """
        batches = list(batches)
        total, found = sum(map(len, batches)), []
        for batch in batches:
            low, high = (len(batch) * place // self.size for place in (self.rank, self.rank + 1))
            part = batch if self.size == 1 else batch.members(slice(low, max(high, low + 1)))
            found.append((part, (high - low) / total))
        return found

    def sum(self, tensor: Tensor) -> Tensor:
        """Sum over the processes, in place."""
        if self.size > 1:
            dist.all_reduce(tensor)
        return tensor

    def over_shards(self, products: Tensor) -> Tensor:
        """Products of whole vectors from those of this process's shards, in place."""
        return self.sum(products) if self.sharded else products

    def total(self, value: float) -> float:
        """Sum of a number over the processes."""
        return self.sum(torch.tensor(value, dtype=torch.float64)).item()

    def least(self, value: int) -> int:
        """The smallest that any process has."""
        found = torch.tensor(value)
        if self.size > 1:
            dist.all_reduce(found, dist.ReduceOp.MIN)
        return int(found)

    def wait(self) -> None:
        """Until all are here."""
        self.total(0.0)

    def refuse_together(self, refused: NonFiniteGradientError | None) -> None:
        """Raise in all processes if one of them has to.

        Raises:
            NonFiniteGradientError: this process's own, or that there is one elsewhere.
        """
        if self.total(float(refused is not None)):
            raise refused or NonFiniteGradientError(OTHER)


ALONE = Ranks()
