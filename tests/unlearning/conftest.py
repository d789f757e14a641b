"""A denoiser of two blocks, real in every part, in float64, and two small sets of latents."""

from dataclasses import replace

import pytest
import torch
from diffusers import DDPMScheduler, UNet2DConditionModel
from torch import nn

from expunge.models.conditions import TOKENS
from expunge.models.diffusion import DiffusionProcess
from expunge.unlearning.batches import LatentSet, LatentSets
from expunge.unlearning.gradient_cache import GradientCache, cache_gradients
from expunge.unlearning.loop import Hooks
from expunge.unlearning.problem import Objectives, Problem
from expunge.unlearning.unlearn_settings import GradientSettings
from tests.threads import one_thread  # noqa: F401

EMBEDDING = 8  # width of the prompt embeddings


def make_unet(seed: int = 0) -> UNet2DConditionModel:
    """Stock diffusers at its smallest, random weights from the seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return UNet2DConditionModel(
            sample_size=8,
            in_channels=4,
            out_channels=4,
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
            block_out_channels=(16, 16),
            layers_per_block=1,
            cross_attention_dim=EMBEDDING,
            attention_head_dim=4,
            norm_num_groups=4,
        ).double()


# Random tokens of a few prompts span all eight dimensions: nothing would be free to be edited.
OPTIONS: dict[str, dict[str, float]] = {"null_space_editing": {"null_below": 0.5}}


def make_set(size: int, seed: int, strata: tuple[str, ...]) -> LatentSet:
    """Random latents; one random prompt and anchor embedding a stratum; members take the strata in turn."""
    generator = torch.Generator().manual_seed(seed)
    latents = torch.randn(size, 4, 8, 8, generator=generator, dtype=torch.float64)
    count = len(strata)
    prompts, anchors = (
        torch.randn(count, 3, EMBEDDING, generator=generator, dtype=torch.float64) for _ in ("prompts", "anchors")
    )
    return LatentSet(
        latents=latents,
        prompt_indices=torch.arange(size) % count,
        conditions={TOKENS: torch.cat([prompts, anchors])},
        strata=[strata[i % count] for i in range(size)],
        anchor_indices=count + torch.arange(size) % count,
        empty={TOKENS: torch.randn(1, 3, EMBEDDING, generator=generator, dtype=torch.float64)},
    )


@pytest.fixture
def denoiser() -> UNet2DConditionModel:
    return make_unet()


@pytest.fixture
def process() -> DiffusionProcess:
    return DiffusionProcess(DDPMScheduler(num_train_timesteps=100))


@pytest.fixture
def forget() -> LatentSet:
    return make_set(6, 1, ("cat/noto",))


@pytest.fixture
def retain() -> LatentSet:
    return replace(make_set(12, 2, ("dog/noto", "apple/noto", "car/twemoji")), anchor_indices=None)


QUIET = Hooks(progress=False)


def cached(
    denoiser: nn.Module, process: DiffusionProcess, sets: LatentSets, threshold: float = 1.0, **how
) -> GradientCache:
    """Gradients at the denoiser as it is."""
    problem = Problem(denoiser, process, Objectives(forget_threshold=threshold), sets)
    return cache_gradients(problem, GradientSettings(**how), "tiny", progress=False)


@pytest.fixture
def sets(forget: LatentSet, retain: LatentSet) -> LatentSets:
    return LatentSets(forget, retain)
