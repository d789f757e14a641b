"""The restricted gradient in the metric of the step, with one first moment per objective, 1 + 1 passes a
step.

Source: the restricted gradient of Ko et al., NeurIPS 2024, arXiv 2412.07808; the metric is this project's.

Differs from the paper: products <a,b> = aᵀ P⁻¹ b in the metric of the step, so that to first order no step raises
either averaged loss; one first moment per objective; the second moment begins with the cached gradients' squares at θ₀;
the forget loss says what is to be predicted instead.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from pydantic import Field
from torch import Tensor

from expunge.errors import ExpungeError
from expunge.unlearning.batches import Batch
from expunge.unlearning.gradient_cache import GradientCache
from expunge.unlearning.methods.method import Method, MethodSettings, MethodStep, Runs, StepSize
from expunge.unlearning.methods.method_registry import register
from expunge.unlearning.optimiser import RestrictedAdam


class SteppingMetricSettings(MethodSettings):
    """Options of the engine."""

    momentum: float = Field(default=0.9, ge=0, lt=1, description="decay of both first moments")
    second_momentum: float = Field(default=0.999, ge=0, lt=1, description="decay of the second moment")
    epsilon: float = Field(default=1e-8, gt=0, le=1e-2)
    warm_start: bool = Field(default=True, description="whether the second moment begins with the cached squares")

    @property
    def uses_cache(self) -> bool:
        """For a warm start."""
        return self.warm_start


@register("stepping_metric")
class SteppingMetric(Method[SteppingMetricSettings]):
    """`RestrictedAdam` on one forget and one retain batch."""

    settings_type: ClassVar[type[MethodSettings]] = SteppingMetricSettings
    forget: ClassVar[Mapping[str, float]] = {"anchor": 1.0}
    runs: ClassVar[Runs] = "sharded"

    def prepare(self, cache: GradientCache | None) -> None:
        """Make the optimiser and warm its second moment.

        Raises:
            ExpungeError: a warm start is asked for and there is no cache.
        """
        options = self.settings.model_dump(exclude={"warm_start"})
        problem = self.problem
        self.optimiser = RestrictedAdam(
            problem.parameters, problem.objectives.retain_weight, ranks=problem.ranks, **options
        )
        if not self.settings.warm_start:
            return
        if cache is None:
            raise ExpungeError("warm_start: there is no gradient cache to begin with; make one, or set it to false")
        self.optimiser.warm_start(cache.forget_second, cache.retain_second)

    def retain_batches(self, batches_to_cover: int) -> int:
        """One."""
        return 1

    def step(self, forget: Batch, retain: Sequence[Batch], size: StepSize) -> MethodStep:
        """One step in the metric."""
        forget_loss, forget_grad = self.problem.forget_gradient([forget])
        update = self.optimiser.begin(forget_grad)
        del forget_grad  # the update lets go of each part of it that is done with
        (batch,) = retain
        retain_loss = self.problem.each_gradient(self.problem.retain_loss, batch, update.take)
        report = update.finish(size.learning_rate, size.forget_weight)
        passes = self.problem.forget_passes + self.problem.retain_passes
        return MethodStep(forget_loss, retain_loss, passes, report)

    def state_dict(self) -> dict[str, Tensor]:
        """The optimiser's moments."""
        return self.optimiser.state_dict()

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take back the optimiser's moments."""
        self.optimiser.load_state_dict(state)
