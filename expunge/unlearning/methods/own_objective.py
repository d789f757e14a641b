"""What methods share that replace the forget loss by an objective of their own and step with plain Adam.

Notation: a_f gradient of that objective, g_r gradient of the retain loss; the update is
θ ← Adam(c_f a_f + c_r g_r).
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

import torch
from torch import Tensor, nn

from expunge.unlearning.batches import Batch
from expunge.unlearning.euclidean import EuclideanAdam, Rule
from expunge.unlearning.gradient_cache import GradientCache
from expunge.unlearning.gradients import Coefficients
from expunge.unlearning.methods.adam_method import AdamSettings
from expunge.unlearning.methods.protocol import MethodSettings, MethodStep
from expunge.unlearning.objectives import truncated_forget_loss
from expunge.unlearning.problem import Problem
from expunge.unlearning.step_report import StepReport


class OwnObjective(ABC):
    """One Adam step from a method's own forget objective and, where it uses it, the retain loss.

    The report's products, cosine and conflict are those of a_f and g_r. The change of the plain forget loss would cost
    a second backward pass and is not measured: None. Its value comes with the objective where that is free.
    """

    settings_type: ClassVar[type[MethodSettings]] = AdamSettings
    uses_retain: ClassVar[bool] = True
    forward_passes: int = 0  # forward-only predictions for the objective; each counts a third of a pass

    def setup(self, problem: Problem, cache: GradientCache | None, settings: MethodSettings) -> None:
        """Choose what moves, make the optimiser, and prepare what the objective needs.

        Raises:
            ExpungeError: there is nothing to move, or a cache is needed and there is none.
        """
        assert isinstance(settings, AdamSettings)
        self.problem, self.settings = problem, settings
        self.moved = self.moved_parameters()
        self.prepare(cache)
        self.optimiser = EuclideanAdam(
            self.stepped(),
            learning_rate=problem.learning_rate,
            betas=(settings.beta1, settings.beta2),
            epsilon=settings.epsilon,
        )

    def moved_parameters(self) -> dict[str, nn.Parameter]:
        """What this method changes, by name: all trained parameters."""
        return self.problem.parameters

    def stepped(self) -> Mapping[str, Tensor]:
        """What Adam steps: the parameters themselves."""
        return self.moved

    def prepare(self, cache: GradientCache | None) -> None:
        """What must be known before the first step: nothing."""
        del cache

    @abstractmethod
    def objective(self, forget: Batch, retain: Sequence[Batch]) -> tuple[Tensor, Tensor | None]:
        """The own forget objective, a scalar, and the squared error of each element on the forget batch.

        The error is without gradient, ``(b, c, h, w)``, and None where it would cost another pass. Batches are where
        the parameters are.
        """

    def rule(self) -> Coefficients | Rule:
        """c_f and c_r, or what gives them from the three dot products: (1, λ)."""
        return Coefficients(1.0, self.problem.retain_weight if self.uses_retain else 0.0, conflict=False)

    def retain_batches(self, batches_to_cover: int) -> int:
        """One, or none for a method that does not look at the retain set."""
        return 1 if self.uses_retain else 0

    def step(self, forget: Batch, retain: Sequence[Batch]) -> MethodStep:
        """One Adam step along the combination."""
        problem, wanted = self.problem, list(self.moved.values())
        loss, error = self.objective(problem.placed(forget), [problem.placed(batch) for batch in retain])
        own: list[Tensor | None] = list(torch.autograd.grad(loss, wanted, allow_unused=True))
        forget_loss = None if error is None else truncated_forget_loss(error, problem.forget_threshold).item()
        retain_loss: float | None = None
        retain_grad: list[Tensor | None] = [None] * len(wanted)
        if self.uses_retain:
            retain_loss, retain_grad = problem.gradient(problem.retain_loss, retain, self.moved)
        report = self.update(own, retain_grad)
        passes = 1 + self.forward_passes / 3 + self.uses_retain * problem.retain_passes * len(retain)
        return MethodStep(forget_loss, retain_loss, passes, replace(report, change_forget=None))

    def update(self, own: list[Tensor | None], retain: list[Tensor | None]) -> StepReport:
        """Move the parameters by both gradients, one for each that is moved."""
        return self.optimiser.step(own, retain, self.problem.retain_weight, fixed=self.rule())

    def state_dict(self) -> dict[str, Tensor]:
        """Adam's moments."""
        return self.optimiser.state_dict()

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take back Adam's moments."""
        self.optimiser.load_state_dict(state)
