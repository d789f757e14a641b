"""The zoo's autoencoder: a small ``AutoencoderKL``, 64×64 RGB to 8×8×8 latents and back."""

from collections.abc import Callable

import torch
from diffusers import AutoencoderKL
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from transformers import get_cosine_schedule_with_warmup

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
    batches: Batches, steps: int, batch_size: int = 16, progress: Callable[[int, float], None] | None = None
) -> AutoencoderKL:
    """Train encoder and decoder together and return their exponential moving average.

    Args:
        batches: draws a batch of augmented pictures.
        steps: optimiser steps, one batch each.
        batch_size: pictures a batch.
        progress: called after every step with its number and loss.
    """
    model = make_autoencoder().to(memory_format=torch.channels_last)

    def loss_of(pictures: torch.Tensor) -> torch.Tensor:
        posterior = model.encode(pictures).latent_dist
        kl = posterior.kl().mean() / (LATENT_CHANNELS * LATENT_SIZE**2)
        return reconstruction_loss(model.decode(posterior.sample()).sample, pictures) + 1e-4 * kl

    return _fit(model, list(model.parameters()), loss_of, batches, steps, batch_size, 2e-3, progress)


def _fit(model, trained, loss_of, batches, steps, batch_size, rate, progress) -> AutoencoderKL:
    optimiser = torch.optim.AdamW(trained, lr=rate, betas=(0.9, 0.99), weight_decay=1e-4)
    schedule = get_cosine_schedule_with_warmup(optimiser, steps // 20, steps)
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.998))
    for step in range(steps):
        loss = loss_of(batches(batch_size).to(memory_format=torch.channels_last))
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimiser.step()
        schedule.step()
        average.update_parameters(model)
        if progress:
            progress(step, loss.item())
    return average.module.eval().requires_grad_(False)


@torch.no_grad()
def peak_signal_to_noise(model: AutoencoderKL, pictures: torch.Tensor) -> float:
    """Mean PSNR in decibels of reconstructions against ``pictures`` (−1–1)."""
    drawn = model.decode(model.encode(pictures).latent_dist.mode()).sample.clamp(-1, 1)
    error = ((drawn - pictures) / 2).square().mean(dim=(1, 2, 3))
    return (-10 * error.log10()).mean().item()
