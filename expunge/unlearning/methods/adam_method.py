"""What all methods share that step with plain Adam along a fixed or restricted combination of two
gradients."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar

from pydantic import Field
from torch import Tensor

from expunge.unlearning.batches import Batch
from expunge.unlearning.euclidean import EuclideanAdam, Rule
from expunge.unlearning.gradient_cache import GradientCache
from expunge.unlearning.gradients import Coefficients
from expunge.unlearning.methods.protocol import MethodSettings, MethodStep
from expunge.unlearning.problem import Problem


class AdamSettings(MethodSettings):
    """Options of a method that steps with plain Adam."""

    beta1: float = Field(default=0.9, ge=0, lt=1, description="decay of the first moment")
    beta2: float = Field(default=0.999, ge=0, lt=1, description="decay of the second moment")
    epsilon: float = Field(default=1e-8, gt=0, le=1e-2)


class AdamMethod(ABC):
    """One Adam step from the gradients that a method uses; a method says which, and how they are combined."""

    settings_type: ClassVar[type[MethodSettings]] = AdamSettings
    uses_forget: ClassVar[bool] = True
    uses_retain: ClassVar[bool] = True

    def setup(self, problem: Problem, cache: GradientCache | None, settings: MethodSettings) -> None:
        """Make the optimiser. The cache is not used."""
        assert isinstance(settings, AdamSettings)
        self.problem, self.settings = problem, settings
        self.optimiser = EuclideanAdam(
            problem.parameters,
            learning_rate=problem.learning_rate,
            betas=(settings.beta1, settings.beta2),
            epsilon=settings.epsilon,
        )

    @abstractmethod
    def fixed_coefficients(self) -> Coefficients | Rule | None:
        """c_f and c_r, or what gives them from the three dot products, or None for the restricted gradient's."""

    def retain_batches(self, batches_to_cover: int) -> int:
        """One, or none for a method that does not look at the retain set."""
        return 1 if self.uses_retain else 0

    def step(self, forget: Batch, retain: Sequence[Batch]) -> MethodStep:
        """One Adam step along the combination."""
        problem = self.problem
        forget_loss, forget_grad = (
            problem.forget_gradient([forget]) if self.uses_forget else (None, problem.no_gradient())
        )
        retain_loss, retain_grad = (
            problem.retain_gradient(retain) if self.uses_retain else (None, problem.no_gradient())
        )
        report = self.optimiser.step(forget_grad, retain_grad, problem.retain_weight, fixed=self.fixed_coefficients())
        passes = self.uses_forget + self.uses_retain * problem.retain_passes * len(retain)
        return MethodStep(forget_loss, retain_loss, passes, report)

    def state_dict(self) -> dict[str, Tensor]:
        """Adam's moments."""
        return self.optimiser.state_dict()

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take back Adam's moments."""
        self.optimiser.load_state_dict(state)
