"""Sana (Xie et al., ICLR 2025, arXiv 2410.10629): linear attention in deeply compressed latents."""

import inspect
from typing import Any, ClassVar

from diffusers import SanaPipeline
from torch import Tensor, nn

from expunge.models.conditions import TOKENS, Conditions
from expunge.models.diffusers_model import MASK, UNCONDITIONAL
from expunge.models.flow import FlowModel

# Sentences that the sampler puts before a text, unless it is told not to.
INSTRUCTION = inspect.signature(SanaPipeline.__call__).parameters["complex_human_instruction"].default


class Sana(FlowModel):
    """A language model reads the text, after an instruction that the unconditional branch does not get."""

    PIPELINE = SanaPipeline
    ENCODED = (TOKENS, MASK, UNCONDITIONAL + TOKENS, UNCONDITIONAL + MASK)
    ENCODING: ClassVar = {"do_classifier_free_guidance": False, "complex_human_instruction": INSTRUCTION}
    ASKED: ClassVar = {TOKENS: "prompt_embeds", MASK: "prompt_attention_mask"}
    DRAWING: ClassVar = {"negative_prompt": None, "use_resolution_binning": False}
    WINDOW = 300

    @property
    def smallest_size(self) -> int:
        """Its pipeline draws multiples of 32."""
        return max(32, super().smallest_size)

    def _latents(self, pictures: Tensor) -> Tensor:
        """Scaled; the autoencoder knows no spread."""
        return self.pipeline.vae.encode(pictures).latent * self.pipeline.vae.config.scaling_factor

    def predict(self, denoiser: nn.Module, noisy: Tensor, level: Tensor, conditions: Conditions) -> Tensor:
        """The velocity."""
        return denoiser(
            noisy,
            encoder_hidden_states=conditions[TOKENS],
            encoder_attention_mask=conditions[MASK],
            timestep=self.time(level).to(noisy),
        ).sample

    def _fit(self) -> None:
        super()._fit()
        self.pipeline.tokenizer.padding_side = "right"  # as its ``encode_prompt`` will have it

    def _worded(self, text: str, tokenizer: Any) -> str:
        """Without the instruction, which has room of its own."""
        return text.lower().strip()
