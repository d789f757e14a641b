"""What a loss needs to know of a model. Torch is imported when it is needed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from expunge.models.conditions import Conditions
from expunge.models.hardware import Precision

if TYPE_CHECKING:
    from torch import Tensor, nn


class NoiseProcess(Protocol):
    """How pictures are noised and what a denoiser is to make of that: all that a loss needs."""

    precision: Precision  # in which it is to be asked, see ``hardware.computing``

    @property
    def levels(self) -> int:
        """Noise levels of the training schedule; each was trained on as often as any other."""
        ...

    def noisy(self, latents: Tensor, noise: Tensor, level: Tensor) -> Tensor:
        """Latents ``(b, c, h, w)`` noised up to a level, int64 ``(b,)``, 0 … levels − 1; 0 has the least noise."""
        ...

    def target(self, latents: Tensor, noise: Tensor, level: Tensor) -> Tensor:
        """What the denoiser should predict there, ``(b, c, h, w)``."""
        ...

    def predict(self, denoiser: nn.Module, noisy: Tensor, level: Tensor, conditions: Conditions) -> Tensor:
        """What it predicts, ``(b, c, h, w)``; conditions each ``(b, …)``."""
        ...
