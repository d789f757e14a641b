"""Diffusion over discrete noise levels, as diffusers' schedulers have it (Ho et al. 2020, arXiv 2006.11239)."""

from pathlib import Path
from typing import Any

from diffusers import DDPMScheduler
from torch import Tensor, nn

from expunge.models.conditions import Conditions
from expunge.models.diffusers_model import DiffusersModel
from expunge.models.hardware import Precision

PREDICTIONS = ("epsilon", "v_prediction", "sample")
# Samplers of diffusers that go down the discrete noise levels a denoiser was trained on. Flow matching and consistency
# samplers (LCM, TCD) are no such: their denoisers were trained on something else.
SAMPLERS = (
    "DDIMScheduler",
    "DDPMScheduler",
    "DEISMultistepScheduler",
    "DPMSolverMultistepScheduler",
    "DPMSolverSinglestepScheduler",
    "EulerAncestralDiscreteScheduler",
    "EulerDiscreteScheduler",
    "HeunDiscreteScheduler",
    "KDPM2DiscreteScheduler",
    "LMSDiscreteScheduler",
    "PNDMScheduler",
    "UniPCMultistepScheduler",
)


class DiffusionProcess:
    """The noise schedule that a model was trained on.

    Args:
        scheduler: one of ``SAMPLERS``; its configuration says the schedule and what is predicted. A fresh one is made
            of it: a sampler's own is changed by sampling.

    Raises:
        ValueError: it is another one, samples along a flow, or its prediction type is none of ``PREDICTIONS``.
    """

    precision: Precision = "float32"

    def __init__(self, scheduler: Any) -> None:
        name = type(scheduler).__name__
        if name not in SAMPLERS or scheduler.config.get("use_flow_sigmas"):
            raise ValueError(
                f"scheduler: {name} does not go down discrete noise levels; save the model with one of "
                f"{', '.join(SAMPLERS)}, if it was trained for them"
            )
        self.schedule = DDPMScheduler.from_config(scheduler.config)
        self.prediction: str = self.schedule.config.prediction_type
        if self.prediction not in PREDICTIONS:
            raise ValueError(
                f"scheduler: its prediction type is {self.prediction!r}; must be one of {', '.join(PREDICTIONS)}"
            )

    @property
    def levels(self) -> int:
        """Noise levels; level 0 has the least noise."""
        return self.schedule.config.num_train_timesteps

    def noisy(self, latents: Tensor, noise: Tensor, level: Tensor) -> Tensor:
        """Latents noised up to a level, ``(b, c, h, w)``."""
        return self.schedule.add_noise(latents, noise, level)

    def target(self, latents: Tensor, noise: Tensor, level: Tensor) -> Tensor:
        """The noise, the velocity or the latents, ``(b, c, h, w)``."""
        if self.prediction == "epsilon":
            return noise
        return latents if self.prediction == "sample" else self.schedule.get_velocity(latents, noise, level)

    def predict(self, denoiser: nn.Module, noisy: Tensor, level: Tensor, conditions: Conditions) -> Tensor:
        """The denoiser's prediction, ``(b, c, h, w)``; it takes the conditions by their names."""
        return denoiser(noisy, level, **conditions).sample


class DiffusionModel(DiffusionProcess, DiffusersModel):
    """A pipeline whose denoiser goes down discrete noise levels; see both."""

    def __init__(self, pipeline: Any, folder: Path | None = None) -> None:
        DiffusionProcess.__init__(self, pipeline.scheduler)
        DiffusersModel.__init__(self, pipeline, folder)
