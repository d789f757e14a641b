"""Latents of a diffusers pipeline: what its autoencoder makes of pictures."""

from typing import Any, ClassVar

import torch
from torch import Tensor

from expunge.models.latent_pictures import LatentPictures


class Autoencoded(LatentPictures):
    """Part of a model that diffusers has a pipeline for.

    Attributes:
        PACKED: latents whose channels are together one token's.
    """

    PACKED: ClassVar[int] = 1
    pipeline: Any
    _config: Any  # the denoiser's

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of a picture's latents, as the loss is taken."""
        side = self.size // self.pipeline.vae_scale_factor
        return self._config.in_channels // self.PACKED, side, side

    def decode_nothing(self, count: int) -> None:
        """Run the autoencoder on ``count`` pictures' latents without content: for those who reckon what it takes."""
        vae, shape = self.pipeline.vae, self.latent_shape
        if shape[0] != vae.config.latent_channels:  # the denoiser takes several of the autoencoder's as one
            side = self.size // self.pipeline.vae_scale_factor
            shape = (vae.config.latent_channels, side, side)
        vae.decode(torch.empty(count, *shape, device=self.device))

    def _latents(self, pictures: Tensor) -> Tensor:
        """Shifted and scaled: the posterior's mode."""
        vae = self.pipeline.vae
        mode = vae.encode(pictures).latent_dist.mode()
        return (mode - (vae.config.get("shift_factor") or 0.0)) * vae.config.scaling_factor

    def _pictures(self, latents: Tensor) -> Tensor:
        """Of latents as ``_latents`` makes them."""
        vae = self.pipeline.vae
        shift = vae.config.get("shift_factor") or 0.0
        return vae.decode(latents / vae.config.scaling_factor + shift).sample
