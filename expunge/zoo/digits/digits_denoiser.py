"""The digits' denoiser: a class-conditional ``UNet2DModel`` on pixels, v-prediction on a cosine noise schedule."""

import torch
from diffusers import DDIMScheduler, UNet2DModel
from pydantic import Field, field_validator

from expunge.models.families.class_conditional import ClassConditional
from expunge.models.loading import LOADING
from expunge.progress import progress_bar
from expunge.settings import Settings
from expunge.zoo.denoiser import make_scheduler
from expunge.zoo.digits.digits_data import CLASSES, SIZE, Digits
from expunge.zoo.training import Schedule, fit


class DenoiserRecipe(Settings):
    """How the denoiser is trained."""

    seed: int = Field(default=0, ge=0, description="of first weights, batches and noise")
    steps: int = Field(default=1800, ge=1)
    batch_size: int = Field(default=64, ge=1, le=4096)
    learning_rate: float = Field(default=2e-3, gt=0, le=1)
    averaging: float = Field(default=0.995, ge=0, lt=1, description="of the weights' exponential moving average")
    empty_share: float = Field(default=0.1, ge=0, le=1, description="under the empty prompt, for guidance")
    channels: tuple[int, int] = Field(
        default=(32, 64),
        description="at 8×8 and at 4×4, multiples of 8; at 8 itself, normalisation would take the class away",
    )
    leave_out: tuple[str, ...] = Field(default=(), description="classes that the model never sees")

    @field_validator("leave_out")
    @classmethod
    def _known_and_not_all(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := sorted(set(names) - set(CLASSES)):
            raise ValueError(f"leave_out: there is no digit {unknown[0]!r}; there are {', '.join(CLASSES)}")
        if set(names) == set(CLASSES):
            raise ValueError("leave_out: all digits are left out; keep at least one")
        return names


def make_denoiser(channels: tuple[int, int]) -> UNet2DModel:
    """An untrained denoiser for ten classes and the empty prompt, convolutions only; 0.6M parameters at (32, 64)."""
    return UNet2DModel(
        sample_size=SIZE,
        in_channels=1,
        out_channels=1,
        num_class_embeds=len(CLASSES) + 1,
        block_out_channels=channels,
        down_block_types=("DownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "UpBlock2D"),
        layers_per_block=1,
        add_attention=False,
        norm_num_groups=8,
    )


def train_model(digits: Digits, recipe: DenoiserRecipe, progress: bool = True) -> ClassConditional:
    """Train on the pictures under their classes, less those left out; the model has the weights' moving average.

    The loss is the mean squared error of the predicted velocity (Salimans and Ho 2022, arXiv 2202.00512); a share of
    each batch stands under the empty prompt (Ho and Salimans 2022, arXiv 2207.12598).
    """
    scheduler, generator = make_scheduler(), torch.Generator().manual_seed(recipe.seed)
    with LOADING, torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        unet = make_denoiser(recipe.channels)
    how = Schedule(recipe.steps, recipe.learning_rate, decay=1e-3, averaging=recipe.averaging)
    left_out = torch.tensor([CLASSES.index(name) for name in recipe.leave_out], dtype=digits.labels.dtype)
    seen = digits.select(~torch.isin(digits.labels, left_out))
    with progress_bar(progress) as bar:
        task = bar.add_task("Training the digits' denoiser", total=recipe.steps, note="")
        trained = fit(
            unet,
            lambda: _loss(unet, scheduler, seen, recipe, generator),
            how,
            lambda _, loss: bar.update(task, advance=1, note=f"loss {loss:.3f}"),
        )
    return ClassConditional(trained, scheduler, CLASSES)


def _loss(
    unet: UNet2DModel, scheduler: DDIMScheduler, digits: Digits, recipe: DenoiserRecipe, generator: torch.Generator
) -> torch.Tensor:
    count = recipe.batch_size
    batch = digits.select(torch.randint(len(digits), (count,), generator=generator))
    empty = torch.rand(count, generator=generator) < recipe.empty_share
    noise = torch.randn(batch.pictures.shape, generator=generator)
    timesteps = torch.randint(scheduler.config.num_train_timesteps, (count,), generator=generator)
    noisy = scheduler.add_noise(batch.pictures, noise, timesteps)
    predicted = unet(noisy, timesteps, class_labels=batch.labels.masked_fill(empty, len(CLASSES))).sample
    return (predicted - scheduler.get_velocity(batch.pictures, noise, timesteps)).square().mean()
