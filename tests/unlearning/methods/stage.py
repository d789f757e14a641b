"""A method set up on the tiny denoiser, stepped by hand as the loop would."""

from functools import cache as remembered

import torch
from diffusers import DDPMScheduler, UNet2DConditionModel

from expunge.models.diffusion import DiffusionProcess
from expunge.unlearning.batches import Batch, LatentSet, LatentSets, draw_batch, generator_of
from expunge.unlearning.gradient_cache import GradientCache
from expunge.unlearning.methods import Method, MethodStep, StepSize, get_method
from expunge.unlearning.problem import Objectives, Problem
from expunge.unlearning.saliency import within_salient
from tests.unlearning.conftest import OPTIONS, cached, make_set, make_unet

FORGET, RETAIN = make_set(6, 1, ("cat",)), make_set(12, 2, ("dog", "apple", "car"))
TIMESTEPS = 100
SIZE = StepSize(1e-3)
EMPTY_SHARE = 0.4  # 2 of 5


class Stage:
    """One method with its problem and data.

    Args:
        name: of the method.
        denoiser: the denoiser; a fresh one if None.
        forget: forget set.
        prediction: kind of prediction.
        cached: whether there is a gradient cache.
        retain_weight: λ.
        alignment: of the retain loss.
        saliency: share of the entries that move; None for the method's own.
        options: of the method.
    """

    def __init__(
        self,
        name: str,
        denoiser: UNet2DConditionModel | None = None,
        *,
        forget: LatentSet = FORGET,
        prediction: str = "epsilon",
        cached: bool = True,
        retain_weight: float = 5.0,
        alignment: str = "data",
        saliency: float | None = None,
        **options,
    ) -> None:
        self.denoiser = (make_unet() if denoiser is None else denoiser).eval()
        self.process = DiffusionProcess(DDPMScheduler(num_train_timesteps=TIMESTEPS, prediction_type=prediction))
        self.start = {name: p.detach().clone() for name, p in self.denoiser.named_parameters()}
        self.problem = Problem(
            self.denoiser, self.process, Objectives(retain_weight, 1.0, alignment), LatentSets(forget, RETAIN)
        )
        method, options = get_method(name), OPTIONS.get(name, {}) | options
        cache = make_cache(prediction) if cached else None
        if share := saliency or method.saliency:
            self.problem = within_salient(self.problem, cache, share)
        self.method: Method = method(self.problem, method.settings_type.model_validate(options), cache)

    def batches(self, number: int = 0) -> tuple[Batch, list[Batch]]:
        """Forget batch and retain batches of a step: 4 and 5 pictures."""
        forget = draw_batch(self.problem.sets.forget, torch.arange(4), TIMESTEPS, generator_of(1, number))
        retain = [
            draw_batch(RETAIN, (torch.arange(5) + 5 * i) % 12, TIMESTEPS, generator_of(2, number, i), EMPTY_SHARE)
            for i in range(self.method.retain_batches(3))
        ]
        return forget, retain

    def step(self, number: int = 0, size: StepSize = SIZE) -> MethodStep:
        """One step on its batches."""
        return self.method.step(*self.batches(number), size)

    def moved(self) -> set[str]:
        """Names of the parameters that are no longer what they were, to the bit."""
        return {name for name, p in self.denoiser.named_parameters() if not torch.equal(p, self.start[name])}


@remembered
def make_cache(prediction: str = "epsilon") -> GradientCache:
    """Gradients at the fresh denoiser, none of it frozen."""
    process = DiffusionProcess(DDPMScheduler(num_train_timesteps=TIMESTEPS, prediction_type=prediction))
    return cached(make_unet(), process, LatentSets(FORGET, RETAIN), batch_size=6)
