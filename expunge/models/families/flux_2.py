"""FLUX.2 dev and klein: flow matching in latents of four pixels each, normalised; a language model reads the text."""

from typing import Any, ClassVar

import torch
from diffusers import Flux2KleinPipeline, Flux2Pipeline
from diffusers.pipelines.flux2.pipeline_flux2 import format_input
from torch import Tensor, nn

from expunge.models.conditions import TOKENS, Conditions
from expunge.models.flow import FlowModel

GUIDANCE = 3.5  # under which diffusers' own example trains it


class Flux2(FlowModel):
    """Its guidance was distilled into it and is an input."""

    PIPELINE = Flux2Pipeline
    GUIDED = False
    WINDOW = 512

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        """Four neighbouring latents are the channels of one."""
        side = self.size // (2 * self.pipeline.vae_scale_factor)
        return self._config.in_channels, side, side

    def _latents(self, pictures: Tensor) -> Tensor:
        """The posterior's mode, normalised by the autoencoder's own running statistics."""
        latents = self.pipeline._patchify_latents(self.pipeline.vae.encode(pictures).latent_dist.mode())
        mean, spread = self._statistics(latents)
        return (latents - mean) / spread

    def _pictures(self, latents: Tensor) -> Tensor:
        mean, spread = self._statistics(latents)
        return self.pipeline.vae.decode(self.pipeline._unpatchify_latents(latents * spread + mean)).sample

    def _statistics(self, like: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of each channel."""
        vae = self.pipeline.vae
        mean = vae.bn.running_mean.view(1, -1, 1, 1).to(like)
        return mean, torch.sqrt(vae.bn.running_var.view(1, -1, 1, 1).to(like) + vae.config.batch_norm_eps)

    def predict(self, denoiser: nn.Module, noisy: Tensor, level: Tensor, conditions: Conditions) -> Tensor:
        """The velocity."""
        places = self.pipeline._prepare_latent_ids(noisy).to(noisy.device)
        guidance = torch.full((len(noisy),), GUIDANCE, device=noisy.device, dtype=torch.float32)
        velocity = denoiser(
            self.pipeline._pack_latents(noisy),
            timestep=(self.time(level) / 1000).to(noisy),
            guidance=guidance if self._config.guidance_embeds else None,
            encoder_hidden_states=conditions[TOKENS],
            txt_ids=self.pipeline._prepare_text_ids(conditions[TOKENS]).to(noisy.device),
            img_ids=places,
        ).sample
        return self.pipeline._unpack_latents_with_ids(velocity[:, : places.shape[1]], places)

    def _worded(self, text: str, tokenizer: Any) -> str:
        """As a conversation."""
        told = format_input([text], self.pipeline.system_message)
        return self.pipeline.tokenizer.apply_chat_template(told, tokenize=False)[0]


class Flux2Klein(Flux2):
    """The small one; guided in the usual way, where it was not distilled."""

    PIPELINE = Flux2KleinPipeline
    GUIDED = True
    ENCODING: ClassVar = {}

    def _worded(self, text: str, tokenizer: Any) -> str:
        """As a question to be answered without thinking."""
        return tokenizer.apply_chat_template(
            [{"role": "user", "content": text}], tokenize=False, add_generation_prompt=True, enable_thinking=False
        )
