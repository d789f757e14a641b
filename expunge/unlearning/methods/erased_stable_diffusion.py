"""ESD: fine-tune the denoiser towards its own prediction guided away from the prompt.

Source: Gandikota et al., ICCV 2023, arXiv 2303.07345, section 4; ESD-x moves the cross-attention, ESD-u all else.
Update: θ ← Adam(∇‖ε_θ(x_t|c) − ε*‖²), with ε* = ε₀(x_t) − η (ε₀(x_t|c) − ε₀(x_t)) and ε₀ the frozen original.

Differs from the paper: x_t are the forget pictures with noise added, not halfway results of sampling with the model as
it is; c is each picture's whole sentence, not the name of the target alone. The retain set is not looked at, as in the
paper.
"""

from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from expunge.errors import ExpungeError
from expunge.unlearning.batches import Batch, predict
from expunge.unlearning.gradient_cache import GradientCache
from expunge.unlearning.methods.adam_method import AdamSettings
from expunge.unlearning.methods.cross_attention import cross_attention_names, cross_attention_parameters
from expunge.unlearning.methods.method import MethodSettings
from expunge.unlearning.methods.method_registry import register
from expunge.unlearning.methods.own_objective import OwnObjective
from expunge.unlearning.objectives import negative_guidance, noise_prediction_error


class ErasedSettings(AdamSettings):
    """Options of ESD."""

    variant: Literal["x", "u"] = Field(default="x", description="x: cross-attention moves; u: everything else")
    guidance: float = Field(default=1.0, ge=0, le=100, description="η, how far away from the prompt")


@register("erased_stable_diffusion")
class ErasedStableDiffusion(OwnObjective[ErasedSettings]):
    """Adam on the distance to the negatively guided original."""

    settings_type: ClassVar[type[MethodSettings]] = ErasedSettings
    uses_retain: ClassVar[bool] = False
    forward_passes: int = 2

    def moved_parameters(self) -> dict[str, nn.Parameter]:
        """Cross-attention or its complement, among what is trained.

        Raises:
            ExpungeError: that is nothing.
        """
        trained = self.problem.parameters
        if self.settings.variant == "x":
            return cross_attention_parameters(self.problem.denoiser, trained)
        inside = set(cross_attention_names(self.problem.denoiser))
        outside = {name: p for name, p in trained.items() if name not in inside}
        if not outside:
            raise ExpungeError("variant: 'u' moves what is not cross-attention, and all of that is frozen; take 'x'")
        return outside

    def prepare_objective(self, cache: GradientCache | None) -> None:
        """Keep the original."""
        self.original = self.problem.original_denoiser()

    def objective(self, forget: Batch, retain: Sequence[Batch]) -> tuple[Tensor, Tensor]:
        """Distance to the target prediction."""
        process = self.problem.process
        with torch.no_grad():
            conditioned, _ = predict(self.original, process, forget)
            unconditioned, _ = predict(self.original, process, forget.under_empty_prompt())
        goal = negative_guidance(conditioned, unconditioned, self.settings.guidance)
        prediction, target = predict(self.problem.denoiser, process, forget)
        error = noise_prediction_error(prediction.detach(), target)
        return noise_prediction_error(prediction, goal).mean(), error
