"""SalUn: relabel the forget set and move only the weights that its gradient marks as salient.

Source: Fan et al., ICLR 2024, arXiv 2310.12508; saliency mask of section 4, generation objective of section 4.
Update: θ ← Adam(m ⊙ (∇‖ε_θ(x_t|c) − sg ε_θ(x_t|c′)‖² + λ g_r)), with m = 1[|g_f(θ₀)| ≥ γ], c the picture's own prompt
and c′ another one.

Differs from the paper: the mask is that of `expunge.unlearning.saliency`, from the truncated forget loss, of half of
all entries unless ``trained.saliency`` says otherwise; c′ is by default the prompt of a random retained picture
(``label: retain``), drawn anew at each step, instead of one other class or sentence fixed beforehand; no gradient flows
through the prediction under c′; the paper's weight β stands on the retain term, as λ does here.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from expunge.errors import ExpungeError
from expunge.models.conditions import chosen
from expunge.unlearning.batches import Batch, predict
from expunge.unlearning.methods.adam_method import AdamSettings
from expunge.unlearning.methods.method import MethodSettings
from expunge.unlearning.methods.method_registry import register
from expunge.unlearning.methods.own_objective import OwnObjective
from expunge.unlearning.objectives import noise_prediction_error


class SaliencySettings(AdamSettings):
    """Options of SalUn."""

    label: Literal["retain", "anchor"] = Field(
        default="retain", description="other prompt: of a retained picture, or the same sentence without the target"
    )


@register("saliency_unlearning")
class SaliencyUnlearning(OwnObjective[SaliencySettings]):
    """Adam on relabelled forget pictures and the retain loss, where entries are salient."""

    settings_type: ClassVar[type[MethodSettings]] = SaliencySettings
    saliency: ClassVar[float | None] = 0.5
    forward_passes: int = 1

    def objective(self, forget: Batch, retain: Sequence[Batch]) -> tuple[Tensor, Tensor]:
        """Distance to the model's own prediction under another prompt."""
        problem = self.problem
        with torch.no_grad():
            relabelled, _ = predict(problem.denoiser, problem.process, self._relabelled(forget, retain))
        prediction, target = predict(problem.denoiser, problem.process, forget)
        error = noise_prediction_error(prediction.detach(), target)
        return noise_prediction_error(prediction, relabelled).mean(), error

    def _relabelled(self, forget: Batch, retain: Sequence[Batch]) -> Batch:
        if self.settings.label == "anchor":
            return forget.under_anchors()
        prompted = torch.cat([batch.prompted for batch in retain]).nonzero().flatten()
        if not len(prompted):
            raise ExpungeError(
                "empty_share: leaves no picture of a retain batch under its own prompt, of which this method takes the "
                "forget set's; lower it, or set method_options.label to 'anchor'"
            )
        others = {name: torch.cat([batch.conditions[name] for batch in retain]) for name in forget.conditions}
        turns = prompted[torch.arange(len(forget)) % len(prompted)]
        return replace(forget, conditions=chosen(others, turns))
