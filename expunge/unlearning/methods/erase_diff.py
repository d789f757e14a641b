"""EraseDiff: lower the retain loss subject to forgetting, by a first-order step of the constrained problem.

Source: Wu et al., CVPR 2025, arXiv 2401.05779, algorithm 1. Update: θ ← Adam(g_r + λ_s a_f), with a_f the gradient of
‖ε_θ(x_t|c) − ε_f‖² for noise ε_f uniform in 0–1, and λ_s = max(0, η − <a_f,g_r>/<a_f,a_f>): to first order the forget
objective then falls at least by η ‖a_f‖² along the unpreconditioned step.

Differs from the paper: the K inner steps that estimate the lowest forget objective are left out; their result enters
the constraint as a constant, so that neither its gradient nor λ_s depends on it, and each step costs 1 + 1 passes
instead of K + 2. Adam takes the step, so that η's promise does not hold for the step itself. λ is not used. With
v-prediction the target is the velocity that ε_f stands for.
"""

from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from expunge.unlearning.batches import Batch, generator_of, predict
from expunge.unlearning.gradient_cache import GradientCache
from expunge.unlearning.gradients import Coefficients
from expunge.unlearning.methods.adam_method import AdamSettings
from expunge.unlearning.methods.method import MethodSettings
from expunge.unlearning.methods.method_registry import register
from expunge.unlearning.methods.own_objective import OwnObjective
from expunge.unlearning.objectives import noise_prediction_error


class EraseSettings(AdamSettings):
    """Options of EraseDiff."""

    barrier: float = Field(default=0.1, gt=0, le=1e3, description="η: least rate at which forgetting goes on")
    goal: Literal["noise", "anchor"] = Field(
        default="noise",
        description="what is learnt instead: uniform noise, or the model's prediction without the target",
    )
    noise_seed: int = Field(default=0, ge=0, description="of the uniform noise")


def barrier_rule(barrier: float, ff: float, fr: float) -> Coefficients:
    """(λ_s, 1) from the dot products; λ_s is 0 where the forget objective has no gradient."""
    return Coefficients(max(0.0, barrier - fr / ff) if ff > 0 else 0.0, 1.0, conflict=fr < 0)


@register("erase_diff")
class EraseDiff(OwnObjective[EraseSettings]):
    """Adam on the retain loss, bent so far that the forget objective falls too."""

    settings_type: ClassVar[type[MethodSettings]] = EraseSettings

    def prepare_objective(self, cache: GradientCache | None) -> None:
        """A goal that the model predicts costs a forward pass. The cache is not used."""
        self.forward_passes = 1 if self.settings.goal == "anchor" else 0

    def rule(self, ff: float, fr: float, rr: float) -> Coefficients:
        """(λ_s, 1)."""
        return barrier_rule(self.settings.barrier, ff, fr)

    def objective(self, forget: Batch, retain: Sequence[Batch]) -> tuple[Tensor, Tensor]:
        """Distance to what is learnt instead."""
        problem = self.problem
        prediction, target = predict(problem.denoiser, problem.process, forget)
        error = noise_prediction_error(prediction.detach(), target)
        return noise_prediction_error(prediction, self._goal(forget)).mean(), error

    @torch.no_grad()
    def _goal(self, forget: Batch) -> Tensor:
        problem = self.problem
        if self.settings.goal == "anchor":
            return predict(problem.denoiser, problem.process, forget.under_anchors())[0]
        generator = generator_of(self.settings.noise_seed, self.optimiser.taken)
        uniform = torch.rand(forget.noise.shape, generator=generator, dtype=torch.float64).to(forget.noise)
        return problem.process.target(forget.latents, uniform, forget.level)
