"""Stable Diffusion 3 and 3.5 (Esser et al., ICML 2024, arXiv 2403.03206): joint attention of text and picture."""

import math
from typing import ClassVar

import torch
from diffusers import StableDiffusion3Img2ImgPipeline, StableDiffusion3Pipeline
from torch import Tensor, nn

from expunge.models.conditions import TOKENS, Conditions
from expunge.models.diffusers_model import POOLED, UNCONDITIONAL
from expunge.models.flow import FlowModel


class StableDiffusion3(FlowModel):
    """Trained to find the picture behind the noise: the velocity's error weighs σ². Middling noise is trained on most.

    The third text encoder may be left out.
    """

    PIPELINE = StableDiffusion3Pipeline
    ENCODING: ClassVar = {"prompt_2": None, "prompt_3": None, "do_classifier_free_guidance": False}
    ENCODED = (TOKENS, UNCONDITIONAL + TOKENS, POOLED, UNCONDITIONAL + POOLED)
    ASKED: ClassVar = {TOKENS: "prompt_embeds", POOLED: "pooled_prompt_embeds"}
    REDRAWING = StableDiffusion3Img2ImgPipeline
    WINDOW = 256

    def target(self, latents: Tensor, noise: Tensor, level: Tensor) -> Tensor:
        """The latents."""
        return latents

    def predict(self, denoiser: nn.Module, noisy: Tensor, level: Tensor, conditions: Conditions) -> Tensor:
        """The latents that the velocity leads back to."""
        velocity = denoiser(
            noisy,
            timestep=self.time(level),
            encoder_hidden_states=conditions[TOKENS],
            pooled_projections=conditions[POOLED],
        ).sample
        return noisy - self.share(level, noisy) * velocity

    def _at(self, falling: Tensor, level: Tensor) -> Tensor:
        """Equal steps of the logit-normal distribution, by the inverse of its distribution function."""
        below = 2 * (level.double() + 0.5) / self.levels - 1
        spread = torch.sigmoid(math.sqrt(2) * torch.erfinv(below)) * self.levels
        return super()._at(falling, spread.long().clamp(0, self.levels - 1))
