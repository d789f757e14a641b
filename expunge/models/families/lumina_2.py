"""Lumina-Image 2.0 (Qin et al. 2025, arXiv 2503.21758): one stream of text and picture."""

from typing import Any, ClassVar

from diffusers import Lumina2Pipeline
from torch import Tensor, nn

from expunge.models.conditions import TOKENS, Conditions
from expunge.models.diffusers_model import MASK, UNCONDITIONAL
from expunge.models.flow import FlowModel


class Lumina2(FlowModel):
    """Its flow runs the other way: from noise to picture, and so does the velocity."""

    PIPELINE = Lumina2Pipeline
    ENCODED = (TOKENS, MASK, UNCONDITIONAL + TOKENS, UNCONDITIONAL + MASK)
    ENCODING: ClassVar = {"do_classifier_free_guidance": False}
    ASKED: ClassVar = {TOKENS: "prompt_embeds", MASK: "prompt_attention_mask"}
    WINDOW = 256

    def target(self, latents: Tensor, noise: Tensor, level: Tensor) -> Tensor:
        """The velocity towards the picture."""
        return latents - noise

    def predict(self, denoiser: nn.Module, noisy: Tensor, level: Tensor, conditions: Conditions) -> Tensor:
        """The velocity; time runs towards the picture."""
        return denoiser(
            noisy,
            timestep=1 - self.time(level) / 1000,
            encoder_hidden_states=conditions[TOKENS],
            encoder_attention_mask=conditions[MASK],
            return_dict=False,
        )[0]

    def _worded(self, text: str, tokenizer: Any) -> str:
        """After the system's prompt."""
        return f"{self.pipeline.system_prompt} <Prompt Start> {text}"
