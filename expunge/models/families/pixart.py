"""PixArt-α and -Σ (Chen et al., ICLR 2024, arXiv 2310.00426): a transformer that attends to a text read by T5."""

from typing import ClassVar

import numpy as np
import torch
from diffusers import PixArtAlphaPipeline, PixArtSigmaPipeline
from torch import Tensor, nn

from expunge.errors import ExpungeError
from expunge.models.conditions import TOKENS, Conditions
from expunge.models.diffusers_model import MASK, UNCONDITIONAL
from expunge.models.diffusion import DiffusionModel


class PixArtAlpha(DiffusionModel):
    """Predicts noise, and a variance that the loss leaves out. Texts are read in lower case."""

    PIPELINE = PixArtAlphaPipeline
    ENCODED = (TOKENS, MASK, UNCONDITIONAL + TOKENS, UNCONDITIONAL + MASK)
    ENCODING: ClassVar = {"do_classifier_free_guidance": False}
    ASKED: ClassVar = {TOKENS: "prompt_embeds", MASK: "prompt_attention_mask"}
    DRAWING: ClassVar = {"negative_prompt": None, "use_resolution_binning": False, "clean_caption": False}
    WINDOW = 120
    MICRO_CONDITIONED: ClassVar[int | None] = 128  # latents of the size whose denoisers also ask for the picture's

    def predict(self, denoiser: nn.Module, noisy: Tensor, level: Tensor, conditions: Conditions) -> Tensor:
        """The noise."""
        sizes: dict[str, Tensor | None] = {"resolution": None, "aspect_ratio": None}
        if self._config.sample_size == self.MICRO_CONDITIONED:
            height, width = (side * self.pipeline.vae_scale_factor for side in noisy.shape[-2:])
            sizes = {"resolution": noisy.new_tensor([[height, width]]), "aspect_ratio": noisy.new_tensor([[1.0]])}
            sizes = {name: torch.cat([each] * len(noisy)) for name, each in sizes.items() if each is not None}
        predicted = denoiser(
            noisy,
            encoder_hidden_states=conditions[TOKENS],
            encoder_attention_mask=conditions[MASK],
            timestep=level,
            added_cond_kwargs=sizes,
        ).sample
        return predicted[:, : noisy.shape[1]]

    def _sample(
        self, conditions: Conditions, generators: list[torch.Generator], steps: int, guidance: float
    ) -> np.ndarray:
        if steps < 2:
            raise ExpungeError("steps: 1 given; this family's pipeline takes one step only of distilled models.")
        return super()._sample(conditions, generators, steps, guidance)


class PixArtSigma(PixArtAlpha):
    """Reads longer texts, and never asks for sizes."""

    PIPELINE = PixArtSigmaPipeline
    WINDOW = 300
    MICRO_CONDITIONED = None
