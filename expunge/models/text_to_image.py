"""What unlearning, benchmark and evaluation ask of a model, whatever family it belongs to."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
import torch
from diffusers import DDPMScheduler

from expunge.pictures.picture_set import PictureSet
from expunge.progress import track
from expunge.prompts.world import Prompt


class TextToImage(Protocol):
    """A model that draws what a prompt asks for, and lends its denoiser for unlearning."""

    @property
    def unet(self) -> torch.nn.Module:
        """The denoiser, the part that unlearning changes."""
        ...

    @property
    def size(self) -> int:
        """Side of the pictures it draws, in pixels."""
        ...

    def draw(
        self,
        texts: Sequence[str],
        seeds: Sequence[int],
        steps: int = 20,
        guidance: float = 2.5,
        batch_size: int = 64,
        progress: str = "",
    ) -> np.ndarray:
        """One picture for each text from the noise of its own seed: RGB, uint8, ``(n, h, w, 3)``."""
        ...

    def draw_prompts(self, prompts: Sequence[Prompt], seeds: Sequence[int], **how: Any) -> PictureSet:
        """As ``draw``, for prompts of a world."""
        ...

    def encode_texts(self, texts: Sequence[str], batch_size: int = 256) -> torch.Tensor:
        """Prompt embeddings as the denoiser takes them, float32 ``(n, tokens, d)``."""
        ...

    def encode_pictures(self, pictures: np.ndarray, batch_size: int = 64) -> torch.Tensor:
        """Latents of uint8 pictures ``(n, h, w, 3)`` as the denoiser takes them, float32 ``(n, c, h, w)``."""
        ...

    def training_scheduler(self) -> DDPMScheduler:
        """The noise schedule the model was trained on."""
        ...

    def sampling(self) -> str:
        """Name of the sampler."""
        ...

    def digest(self) -> str:
        """SHA-256 over everything that its pictures depend on."""
        ...

    def save(self, folder: Path) -> None:
        """Write a folder from which it can be loaded, safetensors only."""
        ...

    def with_own_denoiser(self) -> Self:
        """The model with a copy of its denoiser, so that changing it leaves this one as it is; the rest is shared."""
        ...


def draw_in_batches(
    draw: Callable[[list[str], list[torch.Generator]], np.ndarray],
    texts: Sequence[str],
    seeds: Sequence[int],
    batch_size: int,
    progress: str,
) -> np.ndarray:
    """Draw batch by batch, each picture from a generator of its own.

    Args:
        draw: pictures of some texts from their generators, 0–1, ``(n, h, w, 3)``; NaN becomes black.
        texts: n prompts.
        seeds: n seeds.
        batch_size: pictures at once.
        progress: label of the progress bar; none if empty.

    Returns:
        RGB, uint8, ``(n, h, w, 3)``.

    Raises:
        ValueError: no texts, or not as many seeds.
    """
    if len(texts) != len(seeds) or not texts:
        raise ValueError(f"{len(texts)} texts and {len(seeds)} seeds: must be equal and at least one")
    drawn = []
    for start in track(range(0, len(texts), batch_size), progress):
        generators = [torch.Generator().manual_seed(seed) for seed in seeds[start : start + batch_size]]
        pictures = draw(list(texts[start : start + batch_size]), generators)
        drawn.append(np.rint(np.nan_to_num(pictures) * 255).astype(np.uint8))
    return np.concatenate(drawn)
