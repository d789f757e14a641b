"""SalUn: relabel the forget set and move only the weights that its gradient marks as salient.

Source: Fan et al., ICLR 2024, arXiv 2310.12508; saliency mask of section 4, generation objective of section 4.
Update: θ ← Adam(m ⊙ (∇‖ε_θ(x_t|c) − sg ε_θ(x_t|c′)‖² + λ g_r)), with m = 1[|g_f(θ₀)| ≥ γ], c the picture's own prompt
and c′ another one.

Differs from the paper: the mask comes from the cached gradient of the truncated forget loss over the whole forget
set; c′ is by default the prompt of a random retained picture (``label: retain``), drawn anew at each step, instead of
one other class or sentence fixed beforehand; no gradient flows through the prediction under c′; the paper's weight β
stands on the retain term, as λ does here.
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
from expunge.unlearning.gradient_cache import GradientCache
from expunge.unlearning.gradients import StepReport
from expunge.unlearning.methods.adam_method import AdamSettings
from expunge.unlearning.methods.method import MethodSettings
from expunge.unlearning.methods.method_registry import register
from expunge.unlearning.methods.own_objective import OwnObjective
from expunge.unlearning.objectives import noise_prediction_error


class SaliencySettings(AdamSettings):
    """Options of SalUn."""

    saliency_share: float = Field(default=0.5, gt=0, le=1, description="share of all weights that may move")
    label: Literal["retain", "anchor"] = Field(
        default="retain", description="other prompt: of a retained picture, or the same sentence without the target"
    )

    @property
    def uses_cache(self) -> bool:
        """The forget gradients, for the mask."""
        return True


def saliency_masks(gradients: dict[str, Tensor], names: Sequence[str], share: float) -> list[Tensor | None]:
    """Boolean masks of the ``share`` of all elements whose gradient is largest in size, over all tensors together.

    Elements that tie with the smallest of them are salient too. A name without a gradient has no mask: None.
    """
    sizes = torch.cat([gradients[name].abs().flatten() for name in names if name in gradients])
    rank = max(1, round((1 - share) * len(sizes)) + 1)
    threshold = sizes.kthvalue(min(rank, len(sizes))).values
    return [gradients[name].abs() >= threshold if name in gradients else None for name in names]


@register("saliency_unlearning")
class SaliencyUnlearning(OwnObjective[SaliencySettings]):
    """Adam on relabelled forget pictures and the retain loss, both gradients masked."""

    settings_type: ClassVar[type[MethodSettings]] = SaliencySettings
    forward_passes: int = 1

    def prepare_objective(self, cache: GradientCache | None) -> None:
        """Make the masks.

        Raises:
            ExpungeError: there is no gradient cache, or it knows no trained parameter.
        """
        if cache is None or not cache.forget.keys() & self.moved.keys():
            raise ExpungeError("saliency_unlearning: needs the forget gradients of a gradient cache; make one")
        masks = saliency_masks(cache.forget, list(self.moved), self.settings.saliency_share)
        self.masks = [
            torch.zeros_like(p) if mask is None else mask.to(p)
            for mask, p in zip(masks, self.moved.values(), strict=True)
        ]

    def objective(self, forget: Batch, retain: Sequence[Batch]) -> tuple[Tensor, Tensor]:
        """Distance to the model's own prediction under another prompt."""
        problem = self.problem
        with torch.no_grad():
            relabelled, _ = predict(problem.denoiser, problem.process, self._relabelled(forget, retain))
        prediction, target = predict(problem.denoiser, problem.process, forget)
        error = noise_prediction_error(prediction.detach(), target)
        return noise_prediction_error(prediction, relabelled).mean(), error

    def update(self, own: list[Tensor | None], retain: list[Tensor | None], learning_rate: float) -> StepReport:
        """Adam leaves elements whose gradient has always been zero exactly where they are."""
        return super().update(self._masked(own), self._masked(retain), learning_rate)

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

    def _masked(self, gradients: list[Tensor | None]) -> list[Tensor | None]:
        return [None if g is None else g * mask for g, mask in zip(gradients, self.masks, strict=True)]
