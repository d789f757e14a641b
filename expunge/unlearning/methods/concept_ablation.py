"""Concept ablation: make the target's prompt mean what its anchor means.

Source: Kumari et al., ICCV 2023, arXiv 2303.13516, model-based variant. Update:
θ ← Adam(∇‖ε_θ(x_t|c*) − sg ε_θ(x_t|c)‖² + λ g_r), with c* the sentence with the target and c, the anchor, the same
sentence without it.

Differs from the paper: x_t are noised pictures of the target, because forget pictures have their anchor sentence but
no anchor picture; the paper's are pictures of the anchor. The anchor is a near neighbour of the target, not its
superclass. The paper's regularisation on anchor pictures is the retain loss, whose set holds such pictures, with
weight λ. The noise-based variant is not here.
"""

from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from expunge.unlearning.batches import Batch, predict
from expunge.unlearning.methods.adam_method import AdamSettings
from expunge.unlearning.methods.cross_attention import cross_attention_parameters
from expunge.unlearning.methods.method import MethodSettings
from expunge.unlearning.methods.method_registry import register
from expunge.unlearning.methods.own_objective import OwnObjective
from expunge.unlearning.objectives import noise_prediction_error


class AblationSettings(AdamSettings):
    """Options of concept ablation."""

    parameters: Literal["cross_attention", "full"] = Field(
        default="cross_attention", description="what moves: keys and values of the cross-attention, or everything"
    )


@register("concept_ablation")
class ConceptAblation(OwnObjective[AblationSettings]):
    """Adam on the distance to the model's own prediction for the anchor, and the retain loss."""

    settings_type: ClassVar[type[MethodSettings]] = AblationSettings
    forward_passes: int = 1

    def moved_parameters(self) -> dict[str, nn.Parameter]:
        """As the option says, among what is trained."""
        if self.settings.parameters == "full":
            return self.problem.parameters
        return cross_attention_parameters(self.problem.denoiser, self.problem.parameters, ("to_k", "to_v"))

    def objective(self, forget: Batch, retain: Sequence[Batch]) -> tuple[Tensor, Tensor]:
        """Distance to the anchor's prediction, through which no gradient flows."""
        problem = self.problem
        with torch.no_grad():
            anchor, _ = predict(problem.denoiser, problem.process, forget.under_anchors())
        prediction, target = predict(problem.denoiser, problem.process, forget)
        error = noise_prediction_error(prediction.detach(), target)
        return noise_prediction_error(prediction, anchor).mean(), error
