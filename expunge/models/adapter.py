"""What the adapters of all families share: texts become conditions, conditions become pictures, batch by batch."""

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

import numpy as np
import torch
from torch import Tensor

from expunge.errors import ExpungeError
from expunge.models.text_to_image import Conditions, TextToImage, chosen
from expunge.progress import track


class ModelAdapter(TextToImage, ABC):
    """Drawing and encoding in batches. A family says how one batch is done."""

    _rewrite: Callable[[str], str] | None = None
    _filter_facts: str = ""

    @property
    @abstractmethod
    def size(self) -> int:
        """Side of the pictures it draws, in pixels."""

    @abstractmethod
    def _conditions(self, texts: list[str]) -> Conditions:
        """Conditions of a batch of texts, each ``(b, …)``."""

    @abstractmethod
    def _latents(self, pictures: Tensor) -> Tensor:
        """Latents of pictures ``(b, 3, size, size)`` in −1–1."""

    @abstractmethod
    def _sample(
        self, conditions: Conditions, generators: list[torch.Generator], steps: int, guidance: float
    ) -> np.ndarray:
        """Pictures 0–1, ``(b, h, w, 3)``, from the noise of CPU generators."""

    @torch.no_grad()
    def encode_texts(self, texts: Sequence[str], batch_size: int = 256) -> Conditions:
        """Conditions as the denoiser takes them, each ``(n, …)``."""
        seen = [self._rewrite(text) for text in texts] if self._rewrite else list(texts)
        found = [self._conditions(seen[start : start + batch_size]) for start in range(0, len(seen), batch_size)]
        return {name: torch.cat([each[name] for each in found]) for name in found[0]}

    @torch.no_grad()
    def encode_pictures(self, pictures: np.ndarray, batch_size: int = 64) -> Tensor:
        """Latents of uint8 pictures ``(n, h, w, 3)``, float32 ``(n, c, h, w)``.

        Pictures of another size are resized to the model's own.
        """
        size, found = self.size, []
        for start in range(0, len(pictures), batch_size):
            batch = torch.from_numpy(pictures[start : start + batch_size]).permute(0, 3, 1, 2).float() / 127.5 - 1
            if batch.shape[-2:] != (size, size):
                batch = torch.nn.functional.interpolate(batch, (size, size), mode="bicubic", antialias=True)
            found.append(self._latents(batch.clamp(-1, 1)))
        return torch.cat(found)

    def draw(
        self,
        texts: Sequence[str],
        seeds: Sequence[int],
        steps: int = 20,
        guidance: float = 2.5,
        batch_size: int = 64,
        progress: str = "",
    ) -> np.ndarray:
        """One picture for each text from the noise of its own seed: uint8, ``(n, h, w, 3)``."""

        def batch(part: slice, generators: list[torch.Generator]) -> np.ndarray:
            return self._sample(self.encode_texts(texts[part]), generators, steps, guidance)

        return in_batches(batch, len(texts), seeds, batch_size, progress)

    def draw_conditions(
        self, conditions: Conditions, seeds: Sequence[int], steps: int = 20, guidance: float = 2.5, batch_size: int = 64
    ) -> np.ndarray:
        """As ``draw``, under conditions, each ``(n, …)``."""
        count = len(next(iter(conditions.values())))

        def batch(part: slice, generators: list[torch.Generator]) -> np.ndarray:
            return self._sample(chosen(conditions, torch.arange(count)[part]), generators, steps, guidance)

        return in_batches(batch, count, seeds, batch_size)

    def behind_filter(self, rewrite: Callable[[str], str], facts: str) -> Self:
        """The model behind a filter of its texts; ``facts`` is all that the filter depends on."""
        twin = copy.copy(self)
        twin._rewrite, twin._filter_facts = rewrite, facts
        return twin

    def refuse_filter(self, folder: Path) -> None:
        """Before saving.

        Raises:
            ExpungeError: the model stands behind a filter.
        """
        if self._rewrite:
            raise ExpungeError(f"text filter: not saved to {folder.name}: the folder would hold the model without it.")


def in_batches(
    draw: Callable[[slice, list[torch.Generator]], np.ndarray],
    count: int,
    seeds: Sequence[int],
    batch_size: int,
    progress: str = "",
) -> np.ndarray:
    """Draw batch by batch, each picture from a generator of its own.

    Args:
        draw: pictures 0–1, ``(b, h, w, 3)``, of a part of what is asked for, from their generators.
        count: n pictures.
        seeds: n seeds.
        batch_size: pictures at once.
        progress: label of the progress bar; none if empty.

    Returns:
        RGB, uint8, ``(n, h, w, 3)``.

    Raises:
        ValueError: nothing to draw, or not as many seeds.
        ExpungeError: a picture that is not finite.
    """
    if count != len(seeds) or not count:
        raise ValueError(f"{count} texts and {len(seeds)} seeds: must be equal and at least one")
    drawn = []
    for start in track(range(0, count, batch_size), progress):
        part = slice(start, start + batch_size)
        pictures = draw(part, [torch.Generator().manual_seed(seed) for seed in seeds[part]])
        if not np.isfinite(pictures).all():
            raise ExpungeError(
                "model: draws values that are not finite; look for NaN in its weights, or lower the guidance."
            )
        drawn.append(np.rint(pictures * 255).astype(np.uint8))
    return np.concatenate(drawn)
