"""Membership: does the model denoise the pictures that it was unlearned on otherwise than fresh ones, and the target
otherwise than the rest?

Source of the attack by denoising error: Carlini et al., *Extracting Training Data from Diffusion Models*, 2023, arXiv
2301.13188; Matsumoto et al., 2023, arXiv 2302.03262. AUC: the chance that a picture of the first kind has a smaller
error than one of the second, ties counting half, 0–1; 0.5: nothing to tell them by.
"""

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field

from expunge.errors import ExpungeError
from expunge.judges.features import checked_features
from expunge.metrics.intervals import bootstrap_mean, resampling_weights
from expunge.metrics.numbers import Interval
from expunge.models.conditions import chosen
from expunge.models.text_to_image import TextToImage
from expunge.pictures.picture_set import PictureSet
from expunge.settings import Settings
from expunge.unlearning.batches import Batch, denoising_error, generator_of


class MembershipSettings(Settings):
    """How precisely each picture's error is measured, and on how many."""

    pictures: int = Field(default=64, ge=2, le=100_000, description="of each kind")
    timesteps: int = Field(default=8, ge=1, le=1000, description="at which each is noised, evenly spread")
    batch_size: int = Field(default=32, ge=1, le=4096)


class Membership(BaseModel):
    """How well two kinds of pictures can be told apart by their denoising errors.

    Attributes:
        auc: chance that a picture of the first kind is denoised better, 0–1. The interval is a bootstrap; where the
            two kinds do not overlap at all, it is a point.
        members: mean error of the first kind.
        fresh: mean error of the second.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    auc: Interval
    members: Interval
    fresh: Interval


def membership(
    model: TextToImage, members: PictureSet, fresh: PictureSet, settings: MembershipSettings, seed: int
) -> Membership:
    """Tell the pictures that the model was unlearned on from fresh ones, each under its own prompt.

    Below 0.5 the unlearning pushed up the error of the very pictures it was given, more than of others like them; above
    0.5 they are still remembered.

    Args:
        model: the unlearned model.
        members: target pictures it was unlearned on.
        fresh: target pictures that it was not; best of the same prompts from other noise.
        settings: precision.
        seed: of the noise; the same noise for both kinds.

    Raises:
        ExpungeError: fewer than two pictures of either kind.
    """
    errors = [denoising_errors(model, each, True, settings, seed) for each in (members, fresh)]
    return compared(errors[0], errors[1], seed)


def knowledge(
    model: TextToImage,
    original: TextToImage,
    target_pictures: PictureSet,
    others: PictureSet,
    settings: MembershipSettings,
    seed: int,
) -> Membership:
    """Tell target pictures from others by how much worse than the original the model denoises them, without a prompt.

    Errors here are log(error / the original's error) of the same picture and noise. For the original, and for any model
    that only filters prompts, the AUC is 0.5. A model that never saw the target denoises its pictures worse: below 0.5.
    A model that was harmed all over is at 0.5 as well: look at the means.

    Raises:
        ExpungeError: fewer than two pictures of either kind.
    """
    ratios = []
    for pictures in (target_pictures, others):
        now, was = (denoising_errors(each, pictures, False, settings, seed) for each in (model, original))
        ratios.append(np.log(now / was))
    return compared(ratios[0], ratios[1], seed)


@torch.no_grad()
def denoising_errors(
    model: TextToImage, pictures: PictureSet, prompted: bool, settings: MembershipSettings, seed: int
) -> np.ndarray:
    """Mean squared denoising error of each picture over evenly spread noise levels, float64 ``(n,)``.

    The noise of picture i depends on ``seed`` and i alone.

    Args:
        model: denoises.
        pictures: what is noised.
        prompted: under each picture's own prompt, else under the empty one.
        settings: timesteps and batch size.
        seed: of the noise.

    Raises:
        ExpungeError: no pictures, or an error that is not finite.
    """
    if not len(pictures):
        raise ExpungeError("membership: no pictures given; at least 2 of each kind are needed.")
    latents = model.encode_pictures(pictures.pictures)
    conditions = model.encode_texts([prompt.text if prompted else "" for prompt in pictures.prompts])
    levels = ((torch.arange(settings.timesteps) + 0.5) * (model.levels / settings.timesteps)).long()
    errors = np.zeros((len(latents), 1))
    for start in range(0, len(latents), settings.batch_size):
        part = torch.arange(start, min(start + settings.batch_size, len(latents)))
        shape = (settings.timesteps, *latents.shape[1:])
        noise = torch.stack([torch.randn(shape, generator=generator_of(seed, int(i))) for i in part])
        for turn, level in enumerate(levels):
            asked = torch.full((len(part),), prompted)
            levels_of = level.expand(len(part))
            batch = Batch(latents[part], noise[:, turn], levels_of, chosen(conditions, part), part, asked)
            batch = batch.to(model.device, model.dtype)
            error = denoising_error(model.denoiser, model, batch).mean(dim=(1, 2, 3))
            errors[part.numpy(), 0] += error.double().cpu().numpy() / settings.timesteps
    return checked_features(errors, "membership: denoising errors")[:, 0]


def compared(members: np.ndarray, fresh: np.ndarray, seed: int) -> Membership:
    """AUC and means of two sets of errors.

    Args:
        members: errors of the first kind, ``(n,)``.
        fresh: errors of the second, ``(m,)``.
        seed: of the bootstrap; both kinds are drawn again, each by itself.

    Raises:
        ExpungeError: fewer than two of either kind, or a NaN.
    """
    means = [
        bootstrap_mean(errors, seed, what=f"membership, {name}")
        for name, errors in (("members", members), ("fresh pictures", fresh))
    ]
    wins = (members[:, None] < fresh[None]) + 0.5 * (members[:, None] == fresh[None])
    first, second = (
        resampling_weights(None, len(errors), seed + i, 2000, "membership")[0]
        for i, errors in enumerate((members, fresh))
    )
    resampled = ((first @ wins) * second).sum(axis=1) / wins.size
    low, high = np.quantile(resampled, (0.025, 0.975))
    value = float(wins.mean())
    auc = Interval(
        value=value, low=min(float(low), value), high=max(float(high), value), samples=len(members) + len(fresh)
    )
    return Membership(auc=auc, members=means[0], fresh=means[1])
