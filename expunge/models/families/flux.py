"""FLUX.1 dev and schnell: flow matching in packed latents. Its guidance was distilled into it and is an input."""

from typing import ClassVar

import torch
from diffusers import FluxImg2ImgPipeline, FluxPipeline
from torch import Tensor, nn

from expunge.models.conditions import TOKENS, Conditions
from expunge.models.diffusers_model import POOLED
from expunge.models.flow import FlowModel

GUIDANCE = 3.5  # under which diffusers' own example trains it


class Flux(FlowModel):
    """Two text encoders. schnell takes no guidance."""

    PIPELINE = FluxPipeline
    ENCODING: ClassVar = {"prompt_2": None}
    ENCODED = (TOKENS, POOLED)
    ASKED: ClassVar = {TOKENS: "prompt_embeds", POOLED: "pooled_prompt_embeds"}
    GUIDED = False
    REDRAWING = FluxImg2ImgPipeline
    PACKED = 4
    WINDOW = 512

    def _packed(self, latents: Tensor) -> Tensor:
        return self.pipeline._pack_latents(latents, *latents.shape)

    def predict(self, denoiser: nn.Module, noisy: Tensor, level: Tensor, conditions: Conditions) -> Tensor:
        """The velocity."""
        height, width = noisy.shape[-2:]
        places = self.pipeline._prepare_latent_image_ids(len(noisy), height // 2, width // 2, noisy.device, noisy.dtype)
        guidance = torch.full((len(noisy),), GUIDANCE, device=noisy.device, dtype=torch.float32)
        velocity = denoiser(
            self._packed(noisy),
            timestep=(self.time(level) / 1000).to(noisy),
            guidance=guidance if self._config.guidance_embeds else None,
            pooled_projections=conditions[POOLED],
            encoder_hidden_states=conditions[TOKENS],
            txt_ids=noisy.new_zeros(conditions[TOKENS].shape[1], 3),
            img_ids=places,
        ).sample
        scale = self.pipeline.vae_scale_factor
        return self.pipeline._unpack_latents(velocity, height * scale, width * scale, scale)
