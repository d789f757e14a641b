"""What every forget loss is, and sums of them."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor

from expunge.unlearning.batches import Batch


@dataclass(frozen=True)
class Seen:
    """A batch of the forget set as the model sees it, and the way to how the original sees it.

    Attributes:
        batch: pictures of the target, or of what is to be drawn instead, under sentences that ask for the target.
        prediction: the model's, ``(b, c, h, w)``.
        target: what noise and pictures say it should be, ``(b, c, h, w)``.
        original: the frozen original's prediction for a batch, without gradient.
    """

    batch: Batch
    prediction: Tensor
    target: Tensor
    original: Callable[[Batch], Tensor]


class ForgetLoss(ABC):
    """A scalar that falls as the target is forgotten.

    Attributes:
        forward_passes: predictions of the original that it takes; each costs a third of a pass.
        uses_anchors: whether it learns from pictures of what is to be drawn instead, too.
        floor: where it ends; the forget loss has gone its whole way there.
        scale: of its values: less than a hundredth of it above the floor is no way to go.
        way: share of its way that ten steps straight ahead are to go, by which the learning rate is measured; None of a
            loss that falls towards a goal: it cannot go too far, so steps are as long as the retain loss lets them be.
        depth: share of its way to be gone before the steps shrink, where the pace does not say.
    """

    forward_passes: int = 0
    uses_anchors: bool = False
    floor: float = 0.0
    scale: float = 1.0
    way: float | None = None
    depth: float = 0.9

    @property
    def has_goal(self) -> bool:
        """Whether it falls towards a goal, and not away from what was."""
        return self.way is None

    @abstractmethod
    def __call__(self, seen: Seen) -> Tensor:
        """The loss of a batch."""


class WeightedSum(ForgetLoss):
    """Several losses, each with its weight.

    Args:
        parts: losses and their weights > 0, at least one.
    """

    def __init__(self, parts: Mapping[ForgetLoss, float]) -> None:
        self.parts = parts
        self.forward_passes = sum(loss.forward_passes for loss in parts)
        self.uses_anchors = any(loss.uses_anchors for loss in parts)
        self.floor = sum(weight * loss.floor for loss, weight in parts.items())
        heaviest = max(parts, key=lambda loss: parts[loss] * loss.scale)
        self.scale, self.way, self.depth = parts[heaviest] * heaviest.scale, heaviest.way, heaviest.depth

    def __call__(self, seen: Seen) -> Tensor:
        """Their weighted sum."""
        return sum((weight * loss(seen) for loss, weight in self.parts.items()), seen.prediction.new_zeros(()))
