"""What all methods share that step with plain Adam along a combination of two gradients."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar, TypeVar

from pydantic import Field
from torch import Tensor

from expunge.unlearning.batches import Batch
from expunge.unlearning.euclidean import EuclideanAdam
from expunge.unlearning.gradient_cache import GradientCache
from expunge.unlearning.gradients import Coefficients, coefficients
from expunge.unlearning.methods.method import Method, MethodSettings, MethodStep, Runs, StepSize


class AdamSettings(MethodSettings):
    """Options of a method that steps with plain Adam."""

    beta1: float = Field(default=0.9, ge=0, lt=1, description="decay of the first moment")
    beta2: float = Field(default=0.999, ge=0, lt=1, description="decay of the second moment")
    epsilon: float = Field(default=1e-8, gt=0, le=1e-2)


A = TypeVar("A", bound=AdamSettings)


class AdamMethod(Method[A]):
    """One Adam step from the gradients that a method uses; a method says which, and how they are combined."""

    settings_type: ClassVar[type[MethodSettings]] = AdamSettings
    uses_forget: ClassVar[bool] = True
    uses_retain: ClassVar[bool] = True
    runs: ClassVar[Runs] = "replicated"

    def prepare(self, cache: GradientCache | None) -> None:
        """Make the optimiser. The cache is not used."""
        del cache
        self.optimiser = self.adam(self.problem.parameters)

    def adam(self, parameters: Mapping[str, Tensor]) -> EuclideanAdam:
        """The optimiser, as the options say."""
        return EuclideanAdam(parameters, (self.settings.beta1, self.settings.beta2), self.settings.epsilon)

    @abstractmethod
    def rule(self, ff: float, fr: float, rr: float) -> Coefficients:
        """c_f and c_r from the three dot products."""

    def retain_batches(self, batches_to_cover: int) -> int:
        """One, or none for a method that does not look at the retain set."""
        return 1 if self.uses_retain else 0

    def step(self, forget: Batch, retain: Sequence[Batch], size: StepSize) -> MethodStep:
        """One Adam step along the combination."""
        problem, nothing = self.problem, (None, self.problem.no_gradient())
        forget_loss, forget_grad = problem.forget_gradient([forget]) if self.uses_forget else nothing
        retain_loss, retain_grad = problem.retain_gradient(retain) if self.uses_retain else nothing
        report = self.optimiser.step(forget_grad, retain_grad, self.rule, size.learning_rate)
        passes = self.uses_forget * problem.forget_passes + self.uses_retain * problem.retain_passes * len(retain)
        return MethodStep(forget_loss, retain_loss, passes, report)

    def state_dict(self) -> dict[str, Tensor]:
        """Adam's moments."""
        return self.optimiser.state_dict()

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take back Adam's moments."""
        self.optimiser.load_state_dict(state)


class RestrictedMethod(AdamMethod[A]):
    """An Adam step along the Euclidean restricted gradient."""

    def rule(self, ff: float, fr: float, rr: float) -> Coefficients:
        """The restricted gradient's."""
        return coefficients(ff, fr, rr, self.problem.objectives.retain_weight)
