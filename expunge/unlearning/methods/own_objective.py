"""What methods share that replace the forget loss by an objective of their own and step with plain Adam.

Notation: a_f gradient of that objective, g_r gradient of the retain loss; the update is
θ ← Adam(c_f a_f + c_r g_r).
"""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

import torch
from torch import Tensor, nn

from expunge.unlearning.batches import Batch
from expunge.unlearning.gradient_cache import GradientCache
from expunge.unlearning.gradients import Coefficients, StepReport
from expunge.unlearning.methods.adam_method import A, AdamMethod
from expunge.unlearning.methods.method import MethodStep, Runs, StepSize
from expunge.unlearning.objectives import truncated_forget_loss


class OwnObjective(AdamMethod[A]):
    """One Adam step from a method's own forget objective and, where it uses it, the retain loss.

    The report's products, cosine and conflict are those of a_f and g_r. The change of the plain forget loss would cost
    a second backward pass and is not measured: None. Its value comes with the objective where that is free.
    """

    own_forget_objective: ClassVar[bool] = True
    runs: ClassVar[Runs] = "alone"  # some draw noise for a batch as it is given
    forward_passes: int = 0  # forward-only predictions for the objective; each counts a third of a pass

    def prepare(self, cache: GradientCache | None) -> None:
        """Choose what moves, prepare what the objective needs, and make the optimiser.

        Raises:
            ExpungeError: there is nothing to move, or a cache is needed and there is none.
        """
        self.moved = self.moved_parameters()
        self.prepare_objective(cache)
        self.optimiser = self.adam(self.stepped())

    def moved_parameters(self) -> dict[str, nn.Parameter]:
        """What this method changes, by name: all trained parameters."""
        return self.problem.parameters

    def stepped(self) -> Mapping[str, Tensor]:
        """What Adam steps: the parameters themselves."""
        return self.moved

    def prepare_objective(self, cache: GradientCache | None) -> None:
        """What must be known before the first step: nothing."""
        del cache

    @abstractmethod
    def objective(self, forget: Batch, retain: Sequence[Batch]) -> tuple[Tensor, Tensor | None]:
        """The own forget objective, a scalar, and the squared error of each element on the forget batch.

        The error is without gradient, ``(b, c, h, w)``, and None where it would cost another pass. Batches are where
        the parameters are.
        """

    def rule(self, ff: float, fr: float, rr: float) -> Coefficients:
        """(1, λ)."""
        weight = self.problem.objectives.retain_weight if self.uses_retain else 0.0
        return Coefficients(1.0, weight, conflict=fr < 0)

    def step(self, forget: Batch, retain: Sequence[Batch], size: StepSize) -> MethodStep:
        """One Adam step along the combination."""
        problem, wanted = self.problem, list(self.moved.values())
        loss, error = self.objective(problem.placed(forget), [problem.placed(batch) for batch in retain])
        found = torch.autograd.grad(loss, wanted, allow_unused=True)
        own: list[Tensor | None] = [
            None if g is None else problem.masked(name, g) for name, g in zip(self.moved, found, strict=True)
        ]
        threshold = problem.objectives.forget_threshold
        forget_loss = None if error is None else truncated_forget_loss(error, threshold).item()
        retain_loss: float | None = None
        retain_grad: list[Tensor | None] = [None] * len(wanted)
        if self.uses_retain:
            retain_loss, retain_grad = problem.gradient(problem.retain_loss, retain, self.moved)
        report = self.update(own, retain_grad, size.learning_rate)
        passes = 1 + self.forward_passes / 3 + self.uses_retain * problem.retain_passes * len(retain)
        return MethodStep(forget_loss, retain_loss, passes, replace(report, change_forget=None))

    def update(self, own: list[Tensor | None], retain: list[Tensor | None], learning_rate: float) -> StepReport:
        """Move the parameters by both gradients, one for each that is moved."""
        return self.optimiser.step(own, retain, self.rule, learning_rate)
