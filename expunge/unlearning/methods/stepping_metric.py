"""The restricted gradient in the metric of the step, with one first moment per objective, 1 + 1 passes a
step.

Source: the restricted gradient of Ko et al., NeurIPS 2024, arXiv 2412.07808; the metric is this project's.

Differs from the paper: products <a,b> = aᵀ P⁻¹ b in the metric of the step, so that to first order no
step raises either loss; one first moment per objective; the second moment begins with the cached
gradients' squares at θ₀; the forget loss is truncated (``forget_threshold``). First moments can begin
with the cached gradients too, but the cached retain gradient is the data loss's: against the original's
own prediction it is zero at θ₀, and to begin with another one costs retention.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

from pydantic import Field
from torch import Tensor

from expunge.errors import ExpungeError
from expunge.unlearning.batches import Batch
from expunge.unlearning.gradient_cache import GradientCache
from expunge.unlearning.methods.method_registry import register
from expunge.unlearning.methods.protocol import MethodSettings, MethodStep
from expunge.unlearning.optimiser import RestrictedAdam, Scope
from expunge.unlearning.problem import Problem


class SteppingMetricSettings(MethodSettings):
    """Options of the engine."""

    forget_momentum: float = Field(default=0.9, ge=0, lt=1)
    retain_momentum: float = Field(default=0.9, ge=0, lt=1)
    second_momentum: float = Field(default=0.999, ge=0, lt=1, description="decay of the second moment")
    epsilon: float = Field(default=1e-8, gt=0, le=1e-2)
    weight_decay: float = Field(default=0.0, ge=0, le=1, description="not covered by the guarantee")
    max_step_norm: float | None = Field(default=None, gt=0, description="bound on d's norm in the metric")
    scope: Scope = "model"
    warm_start: Literal["none", "second", "retain", "both"] = Field(
        default="second",
        description="which first moments begin with the cached gradients; v does unless none, and alone if second",
    )

    @property
    def uses_cache(self) -> bool:
        """For a warm start."""
        return self.warm_start != "none"


@register("stepping_metric")
class SteppingMetric:
    """`RestrictedAdam` on one forget and one retain batch."""

    settings_type: ClassVar[type[MethodSettings]] = SteppingMetricSettings

    def setup(self, problem: Problem, cache: GradientCache | None, settings: MethodSettings) -> None:
        """Make the optimiser and warm its moments.

        Raises:
            ExpungeError: a warm start is asked for and there is no cache.
        """
        assert isinstance(settings, SteppingMetricSettings)
        options = settings.model_dump(exclude={"warm_start"})
        self.problem = problem
        self.optimiser = RestrictedAdam(
            problem.parameters,
            learning_rate=problem.learning_rate,
            retain_weight=problem.retain_weight,
            **options,
        )
        if settings.warm_start == "none":
            return
        if cache is None:
            raise ExpungeError(
                f"warm_start is '{settings.warm_start}' but there is no gradient cache; make one, or set it to 'none'"
            )
        self.optimiser.warm_start(
            forget=cache.forget if settings.warm_start == "both" else None,
            retain=cache.retain if settings.warm_start != "second" else None,
            forget_second=cache.forget_second,
            retain_second=cache.retain_second,
        )

    def retain_batches(self, batches_to_cover: int) -> int:
        """One."""
        return 1

    def step(self, forget: Batch, retain: Sequence[Batch]) -> MethodStep:
        """One step in the metric."""
        forget_loss, forget_grad = self.problem.forget_gradient([forget])
        retain_loss, retain_grad = self.problem.retain_gradient(retain)
        passes = 1 + self.problem.retain_passes * len(retain)
        report = self.optimiser.step(forget_grad, retain_grad, self.problem.forget_weight)
        return MethodStep(forget_loss, retain_loss, passes, report)

    def state_dict(self) -> dict[str, Tensor]:
        """The optimiser's moments."""
        return self.optimiser.state_dict()

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take back the optimiser's moments."""
        self.optimiser.load_state_dict(state)
