"""Qwen-Image (Wu et al. 2025, arXiv 2508.02324): joint attention of a picture with a text of any length."""

from typing import Any, ClassVar

import torch
from diffusers import QwenImagePipeline
from torch import Tensor, nn

from expunge.models.conditions import TOKENS, Conditions
from expunge.models.diffusers_model import MASK
from expunge.models.flow import FlowModel


class QwenImage(FlowModel):
    """Texts are as long as they are: they are filled up to the longest, and a mask says where they end."""

    PIPELINE = QwenImagePipeline
    ENCODED = (TOKENS, MASK)
    ASKED: ClassVar = {TOKENS: "prompt_embeds", MASK: "prompt_embeds_mask"}
    PACKED = 4
    WINDOW = 1024

    def _packed(self, latents: Tensor) -> Tensor:
        return self.pipeline._pack_latents(latents.unsqueeze(1), *latents.shape)

    def _latents(self, pictures: Tensor) -> Tensor:
        """The first frame's, normalised channel by channel."""
        mean, spread = self._statistics(pictures)
        return (self.pipeline.vae.encode(pictures.unsqueeze(2)).latent_dist.mode()[:, :, 0] - mean) / spread

    def _pictures(self, latents: Tensor) -> Tensor:
        mean, spread = self._statistics(latents)
        return self.pipeline.vae.decode((latents * spread + mean).unsqueeze(2)).sample[:, :, 0]

    def _statistics(self, like: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of each channel."""
        config = self.pipeline.vae.config
        mean, spread = (like.new_tensor(each).view(1, -1, 1, 1) for each in (config.latents_mean, config.latents_std))
        return mean, spread

    def _encoded(self, texts: list[str], **more: Any) -> Conditions:
        """The mask is there even where all are of one length."""
        tokens, mask = self.pipeline.encode_prompt(list(texts), device=self.device, max_sequence_length=self.WINDOW)
        whole = torch.ones(tokens.shape[:2], dtype=torch.long, device=tokens.device)
        return {TOKENS: tokens, MASK: whole if mask is None else mask}

    def _prompted(self, conditions: Conditions, guidance: float) -> dict[str, Any]:
        """Its pipeline calls guidance otherwise."""
        given = super()._prompted(conditions, guidance)
        return {"true_cfg_scale": given.pop("guidance_scale"), **given}

    def predict(self, denoiser: nn.Module, noisy: Tensor, level: Tensor, conditions: Conditions) -> Tensor:
        """The velocity."""
        height, width = noisy.shape[-2:]
        velocity = denoiser(
            self._packed(noisy),
            encoder_hidden_states=conditions[TOKENS],
            encoder_hidden_states_mask=conditions[MASK],
            timestep=(self.time(level) / 1000).to(noisy),
            img_shapes=[[(1, height // 2, width // 2)]] * len(noisy),
        ).sample
        scale = self.pipeline.vae_scale_factor
        return self.pipeline._unpack_latents(velocity, height * scale, width * scale, scale)[:, :, 0]

    def _worded(self, text: str, tokenizer: Any) -> str:
        """Without the template, which has room of its own."""
        return text
