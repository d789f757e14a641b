"""From pictures to what a denoiser works on, and back. Torch is imported when it is needed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import numpy as np

from expunge.models.hardware import Precision, computing

if TYPE_CHECKING:
    import torch
    from torch import Tensor


class LatentPictures(ABC):
    """Latents of pictures, float32 ``(n, c, h, w)`` on the CPU, wherever the model is."""

    precision: Precision

    @property
    @abstractmethod
    def size(self) -> int:
        """Side of the pictures it draws, in pixels."""

    @property
    @abstractmethod
    def device(self) -> torch.device:
        """Where the model is."""

    @property
    @abstractmethod
    def dtype(self) -> torch.dtype:
        """Of what the denoiser is given."""

    @abstractmethod
    def _latents(self, pictures: Tensor) -> Tensor:
        """Latents of pictures ``(b, 3, size, size)`` in −1–1, on the model's device."""

    @abstractmethod
    def _pictures(self, latents: Tensor) -> Tensor:
        """Pictures ``(b, 3, size, size)`` of latents, −1–1 or a little beyond, on the model's device."""

    def encode_pictures(self, pictures: np.ndarray, batch_size: int = 64) -> Tensor:
        """Latents of uint8 pictures ``(n, h, w, 3)``, resized to the model's own size."""
        import torch

        size, found = self.size, []
        for start in range(0, len(pictures), batch_size):
            # Equal pictures have equal latents to the bit, however they lie in memory.
            batch = torch.from_numpy(np.ascontiguousarray(pictures[start : start + batch_size]))
            batch = batch.permute(0, 3, 1, 2).float() / 127.5 - 1
            if batch.shape[-2:] != (size, size):
                batch = torch.nn.functional.interpolate(batch, (size, size), mode="bicubic", antialias=True)
            with torch.no_grad(), computing(self.precision, self.device):
                latents = self._latents(batch.clamp(-1, 1).to(self.device, self.dtype))
            found.append(latents.float().cpu())
        return torch.cat(found)

    def decode_latents(self, latents: Tensor) -> np.ndarray:
        """Pictures 0–1, float32 ``(n, h, w, 3)``, of latents."""
        import torch

        with torch.no_grad(), computing(self.precision, self.device):
            pictures = self._pictures(latents.to(self.device, self.dtype))
        return (pictures.float().cpu() / 2 + 0.5).clamp(0, 1).permute(0, 2, 3, 1).numpy()
