"""How far a step goes: faster until the target is forgotten, then slower and slower until the model has settled.

The rate at which a target is forgotten differs between targets by several times, so a fixed one leaves some of them
drawn and damages others. Here it is measured instead. How much of its way the forget loss has gone says when it is time
to look at pictures; a check that still finds the target lengthens the steps if little of the way was made since the
last; and the first that does not find it, deep enough, begins a stretch of shortening ones, in which the retain loss
takes back what the fast steps cost. Works with every method that takes a learning rate.

Deep enough, because pictures change first: where they have just ceased to show the target, a few of its pictures bring
it back (column "UA, relearned" of `benchmarks/results/zoo`).
"""

import math

from expunge.unlearning.forget import ForgetLoss
from expunge.unlearning.unlearn_settings import PaceSettings

HALF_WAY = 0.5  # of the forget loss: longer steps would not forget more from there on, only damage more


class Pace:
    """Scales steps by what the checks have found.

    Args:
        settings: growth, bounds and stretches.
        loss: the forget loss. One with a goal says by itself when it is done, and pictures are looked at in the end.
        check_every: steps after which the target is looked for at the latest.
        most: what the factor never exceeds, besides what the settings allow.

    Attributes:
        value: factor of the learning rate while the target is still found.
        left: steps until standstill; None while the target is still found.
        done: whether the model has settled and the target was still gone.
    """

    def __init__(
        self,
        settings: PaceSettings,
        loss: ForgetLoss,
        check_every: int,
        most: float = math.inf,
    ) -> None:
        self.settings, self.loss, self.check_every = settings, loss, check_every
        self.depth = loss.depth if settings.depth is None else settings.depth
        self.most = min(settings.most, most)
        self.value, self.done = 1.0, False
        self.left: int | None = None
        self.start: float | None = None
        self.checked_at, self.since = 0.0, 0

    @property
    def factor(self) -> float:
        """Of the next step."""
        return self.value if self.left is None else self.value * self.left / (self.settings.settle_steps + 1)

    @property
    def forget_weight(self) -> float:
        """Of the forget loss in the next step, for methods that take one."""
        return 1.0 if self.left is None or self.loss.has_goal else self.settings.settle_weight

    def wants_check(self, forget_loss: float | None) -> bool:
        """Whether the target is to be looked for after the step being made, before which the loss was this."""
        if self.left is not None:
            return self.left == 1
        if self.loss.has_goal:
            return False
        gone, depth = self._gone(forget_loss), self.depth
        due = gone >= depth and (gone - self.checked_at >= self.settings.stride or self.checked_at < depth)
        return due or self.since + 1 >= self.check_every

    def learn(self, forget_loss: float | None, forgotten: float | None, enough: float) -> None:
        """Take in a finished step, the loss before it, and what its check found, 0–1, if there was one."""
        if self.start is None:
            self.start = forget_loss
        if self.left is not None:
            self.left -= 1
            if self.left == 0:
                settled = self.loss.has_goal or (forgotten is not None and forgotten >= enough)
                self.done, self.left = settled, None
            return
        if self.loss.has_goal:
            if self._gone(forget_loss) >= self.depth:
                self.left = self.settings.settle_steps
            return
        self.since += 1
        if forgotten is None:
            return
        gone = self._gone(forget_loss)
        slow = gone - self.checked_at < self.settings.stride
        if forgotten >= enough and (gone >= self.depth or slow):
            self.left = self.settings.settle_steps
        elif forgotten < enough and slow and gone < HALF_WAY:
            self.value = min(self.most, self.value * self.settings.growth)
        self.checked_at, self.since = gone, 0

    def _gone(self, forget_loss: float | None) -> float:
        """Share of the way from the first forget loss to the floor; 0 where the method does not look at that loss."""
        if forget_loss is None or self.start is None or self.start <= self.loss.floor:
            return 0.0
        return (self.start - forget_loss) / (self.start - self.loss.floor)
