"""What unlearning, benchmark and evaluation ask of a model, whatever family it belongs to. It imports no torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self

import numpy as np

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    Conditions = dict[str, Tensor]
else:
    Conditions = dict[str, Any]
"""What text encoders give a denoiser: tensors by the name under which it takes them, each ``(n, …)``."""

TOKENS = "encoder_hidden_states"  # what cross-attention reads, ``(n, tokens, d)``


def chosen(conditions: Conditions, indices: Tensor) -> Conditions:
    """The conditions at ``indices``, int64 ``(b,)``; each ``(b, …)``."""
    return {name: tensor[indices] for name, tensor in conditions.items()}


def cast(conditions: Conditions, device: torch.device, dtype: torch.dtype) -> Conditions:
    """The conditions on a device; those of floating point in a dtype."""
    return {
        name: tensor.to(device, dtype if tensor.is_floating_point() else tensor.dtype)
        for name, tensor in conditions.items()
    }


class NoiseProcess(Protocol):
    """How pictures are noised and what a denoiser is to make of that: all that a loss needs."""

    @property
    def levels(self) -> int:
        """Noise levels of the training schedule."""
        ...

    def noisy(self, latents: Tensor, noise: Tensor, level: Tensor) -> Tensor:
        """Latents ``(b, c, h, w)`` noised up to a level, int64 ``(b,)``, 0 … levels − 1."""
        ...

    def target(self, latents: Tensor, noise: Tensor, level: Tensor) -> Tensor:
        """What the denoiser should predict there, ``(b, c, h, w)``."""
        ...

    def predict(self, denoiser: nn.Module, noisy: Tensor, level: Tensor, conditions: Conditions) -> Tensor:
        """What it predicts, ``(b, c, h, w)``; conditions each ``(b, …)``."""
        ...


class NewWords(Protocol):
    """Signs that no sentence holds, standing for words whose embeddings are free to choose.

    Attributes:
        spread: standard deviation of the elements of all known embeddings.
    """

    spread: float

    def start(self, names: Sequence[str]) -> Tensor:
        """The mean embedding of known names, once for each sign, ``(count, d)``; of all words if there are no names."""
        ...

    def encode(self, texts: Sequence[str], vectors: Tensor) -> Conditions:
        """As ``encode_texts``, the signs read as ``vectors`` ``(count, d)``; differentiable in them."""
        ...


class TextToImage(NoiseProcess, Protocol):
    """A model that draws what a prompt asks for, and lends its denoiser for unlearning.

    Pictures are RGB, uint8, ``(n, h, w, 3)``. What is drawn depends on text, seed, steps and guidance, whatever else is
    drawn with it, up to the floating-point differences between batch sizes.
    """

    @property
    def denoiser(self) -> nn.Module:
        """The part that unlearning changes, in eval mode."""
        ...

    @property
    def size(self) -> int:
        """Side of the pictures it draws, in pixels."""
        ...

    def encode_texts(self, texts: Sequence[str], batch_size: int = 256) -> Conditions:
        """Conditions as the denoiser takes them. The empty text gives what guidance moves away from."""
        ...

    def encode_pictures(self, pictures: np.ndarray, batch_size: int = 64) -> Tensor:
        """Latents of pictures as the denoiser takes them, float32 ``(n, c, h, w)``."""
        ...

    def new_words(self, signs: Sequence[str]) -> NewWords:
        """Signs as words to be found.

        Raises:
            ExpungeError: the model reads one of them as no single token, or knows no words.
        """
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
        """One picture for each text from the noise of its own seed.

        Args:
            texts: n prompts.
            seeds: n seeds.
            steps: sampling steps, ≥ 1.
            guidance: classifier-free guidance scale; 1 switches it off.
            batch_size: pictures at once.
            progress: label of the progress bar; none if empty.
        """
        ...

    def draw_conditions(
        self, conditions: Conditions, seeds: Sequence[int], steps: int = 20, guidance: float = 2.5, batch_size: int = 64
    ) -> np.ndarray:
        """As ``draw``, under conditions, each ``(n, …)``."""
        ...

    def redraw(
        self,
        pictures: np.ndarray,
        texts: Sequence[str],
        seeds: Sequence[int],
        strength: float,
        steps: int = 20,
        guidance: float = 2.5,
        batch_size: int = 64,
    ) -> np.ndarray:
        """Image-to-image: noise pictures up to a part of the way and denoise them again.

        Source: Meng et al., *SDEdit*, ICLR 2022, arXiv 2108.01073.

        Args:
            pictures: of the model's size.
            texts: n prompts. Under the empty prompt guidance has nothing to add and is off.
            seeds: n seeds, of the noise.
            strength: how far up the noise goes, 0–1; 1 leaves nothing of the picture.
            steps: of the whole way, of which the strength's share is made.

        Raises:
            ExpungeError: so few steps and so little strength that not one step is made; or the family cannot do it.
        """
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

    def behind_filter(self, rewrite: Callable[[str], str], facts: str) -> Self:
        """The model behind a filter of its texts, which cannot be saved.

        Args:
            rewrite: a text as the model gets to see it.
            facts: everything that the filter depends on; it enters the digest.
        """
        ...
