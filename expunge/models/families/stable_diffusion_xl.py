"""Stable Diffusion XL (Podell et al., ICLR 2024, arXiv 2307.01952): two text encoders, and the picture's size."""

from typing import ClassVar

import torch
from diffusers import StableDiffusionXLImg2ImgPipeline, StableDiffusionXLPipeline
from torch import Tensor, nn

from expunge.errors import ExpungeError
from expunge.models.conditions import TOKENS, Conditions
from expunge.models.diffusers_model import POOLED, UNCONDITIONAL
from expunge.models.diffusion import DiffusionModel


class StableDiffusionXL(DiffusionModel):
    """Its unconditional branch is zeros where the pipeline says so, not the empty text."""

    PIPELINE = StableDiffusionXLPipeline
    DENOISER = "unet"
    ENCODING: ClassVar = {"num_images_per_prompt": 1, "do_classifier_free_guidance": False}
    ENCODED = (TOKENS, UNCONDITIONAL + TOKENS, POOLED, UNCONDITIONAL + POOLED)
    ASKED: ClassVar = {TOKENS: "prompt_embeds", POOLED: "pooled_prompt_embeds"}
    REDRAWING = StableDiffusionXLImg2ImgPipeline

    def predict(self, denoiser: nn.Module, noisy: Tensor, level: Tensor, conditions: Conditions) -> Tensor:
        """Asked for a whole picture of the latents' size, as the sampler asks."""
        height, width = (side * self.pipeline.vae_scale_factor for side in noisy.shape[-2:])
        sizes = torch.tensor([height, width, 0, 0, height, width], device=noisy.device, dtype=noisy.dtype)
        more = {"text_embeds": conditions[POOLED], "time_ids": sizes.expand(len(noisy), -1)}
        return denoiser(noisy, level, encoder_hidden_states=conditions[TOKENS], added_cond_kwargs=more).sample

    def _fit(self) -> None:
        super()._fit()
        unet, vae = self.pipeline.unet.config, self.pipeline.vae.config
        if unet.in_channels != vae.latent_channels:
            raise ExpungeError(
                f"unet: takes {unet.in_channels} channels, not the autoencoder's {vae.latent_channels}; inpainting and "
                "other variants that see more than noise are not drawn with"
            )
        if unet.time_cond_proj_dim:
            raise ExpungeError("unet: takes the guidance as an input (LCM); such a model is not drawn with")
