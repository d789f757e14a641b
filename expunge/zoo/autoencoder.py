"""The zoo's autoencoder: a small ``AutoencoderKL``, 64×64 RGB to 8×8×8 latents and back."""

from collections.abc import Callable

import torch
from diffusers import AutoencoderKL

from expunge.zoo.training import Progress, Schedule, fit

PICTURE_SIZE = 64  # pixels
LATENT_CHANNELS = 8
LATENT_SIZE = 8  # latent cells a side

Batches = Callable[[int], torch.Tensor]  # batch size -> pictures in −1–1, (n, 3, 64, 64)


def make_autoencoder() -> AutoencoderKL:
    """An untrained autoencoder of the zoo's shape, 1.6M parameters."""
    channels = (12, 24, 48, 96)
    return AutoencoderKL(
        sample_size=PICTURE_SIZE,
        latent_channels=LATENT_CHANNELS,
        block_out_channels=channels,
        down_block_types=("DownEncoderBlock2D",) * len(channels),
        up_block_types=("UpDecoderBlock2D",) * len(channels),
        layers_per_block=1,
        norm_num_groups=4,
    )


def reconstruction_loss(drawn: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """L1 on pixels, plus L1 on differences between neighbouring pixels, which keeps edges sharp. Scalar."""
    loss = (drawn - wanted).abs().mean()
    for axis in (-1, -2):
        loss = loss + (drawn.diff(dim=axis) - wanted.diff(dim=axis)).abs().mean()
    return loss


def train_autoencoder(
    batches: Batches, steps: int, batch_size: int = 16, progress: Progress | None = None
) -> AutoencoderKL:
    """Train encoder and decoder together and return their exponential moving average.

    Args:
        batches: draws a batch of augmented pictures.
        steps: optimiser steps, one batch each.
        batch_size: pictures a batch.
        progress: called after every step with its number and loss.
    """
    model = make_autoencoder().to(memory_format=torch.channels_last)

    def loss_of() -> torch.Tensor:
        pictures = batches(batch_size).to(memory_format=torch.channels_last)
        posterior = model.encode(pictures).latent_dist
        kl = posterior.kl().mean() / (LATENT_CHANNELS * LATENT_SIZE**2)
        return reconstruction_loss(model.decode(posterior.sample()).sample, pictures) + 1e-4 * kl

    return fit(model, loss_of, Schedule(steps, rate=2e-3, decay=1e-4), progress)


@torch.no_grad()
def peak_signal_to_noise(model: AutoencoderKL, pictures: torch.Tensor) -> float:
    """Mean PSNR in decibels of reconstructions against ``pictures`` (−1–1)."""
    drawn = model.decode(model.encode(pictures).latent_dist.mode()).sample.clamp(-1, 1)
    error = ((drawn - pictures) / 2).square().mean(dim=(1, 2, 3))
    return (-10 * error.log10()).mean().item()
