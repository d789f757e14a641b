"""How far a step goes: faster until the target is forgotten, then slower and slower until the model has settled.

The rate at which a target is forgotten differs between targets by several times, so a fixed one leaves some of them
drawn and damages others. Here the rate is measured instead: each check that still finds the target lengthens the steps,
and the first that does not begins a stretch of shortening ones, in which the retain loss takes back what the fast steps
cost. Works with every method: a step is made, and then shortened or lengthened on its own line.
"""

from collections.abc import Sequence

import torch
from pydantic import Field
from torch import Tensor

from expunge.settings import Settings


class PaceSettings(Settings):
    """How fast steps grow and shrink."""

    growth: float = Field(default=1.25, ge=1, le=10, description="factor at each check that still finds the target")
    most: float = Field(default=4.0, ge=1, le=1000, description="of the learning rate, at most")
    settle_steps: int = Field(default=20, ge=1, le=100_000, description="steps from forgotten to standstill")


class Pace:
    """Scales steps by what the checks have found.

    Attributes:
        value: factor of the learning rate while the target is still found.
        left: steps until standstill; None while the target is still found.
        done: whether the model has settled and the target was still gone.
    """

    def __init__(self, settings: PaceSettings, parameters: Sequence[Tensor]) -> None:
        self.settings = settings
        self.parameters = [p.detach() for p in parameters]
        self.before = [p.clone() for p in self.parameters]
        self.value, self.done = 1.0, False
        self.left: int | None = None

    @property
    def factor(self) -> float:
        """Of the next step."""
        return self.value if self.left is None else self.value * self.left / (self.settings.settle_steps + 1)

    def hold(self) -> None:
        """Remember where the step begins."""
        torch._foreach_copy_(self.before, self.parameters)

    def scale(self) -> float:
        """Shorten or lengthen what has been done since ``hold``, and say by which factor."""
        torch._foreach_lerp_(self.parameters, self.before, 1 - self.factor)
        return self.factor

    def wants_check(self) -> bool:
        """Whether the step being made is the last before standstill."""
        return self.left == 1

    def learn(self, forgotten: float | None, enough: float) -> None:
        """Take in a finished step and what its check found, 0–1, if there was one."""
        if self.left is not None:
            self.left -= 1
            if self.left == 0:
                self.done, self.left = forgotten is not None and forgotten >= enough, None
        elif forgotten is not None:
            if forgotten >= enough:
                self.left = self.settings.settle_steps
            else:
                self.value = min(self.settings.most, self.value * self.settings.growth)
