"""Flow matching: pictures are mixed with noise along a straight line (Lipman et al. 2022, arXiv 2210.02747)."""

from pathlib import Path
from typing import Any

import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from torch import Tensor

from expunge.models.diffusers_model import DiffusersModel
from expunge.models.hardware import Precision

FLOW_SAMPLERS = ("FlowMatchEulerDiscreteScheduler", "FlowMatchHeunDiscreteScheduler")


class FlowProcess:
    """The noise schedule of a model that predicts velocities: x_σ = (1 − σ) x + σ ε, velocity ε − x.

    Args:
        scheduler: one of ``FLOW_SAMPLERS``, or a sampler that is set to ``use_flow_sigmas``. A fresh schedule is made
            of its configuration: a sampler's own is changed by sampling.

    Raises:
        ValueError: it is another one.
    """

    precision: Precision = "float32"

    def __init__(self, scheduler: Any) -> None:
        name, config = type(scheduler).__name__, dict(scheduler.config)
        if name not in FLOW_SAMPLERS and not config.get("use_flow_sigmas"):
            raise ValueError(
                f"scheduler: {name} does not go along a flow, as this model was trained; save the model with one of "
                f"{', '.join(FLOW_SAMPLERS)}, or set use_flow_sigmas"
            )
        self.schedule = FlowMatchEulerDiscreteScheduler.from_config(
            config | {"shift": config.get("shift", config.get("flow_shift", 1.0))}
        )

    @property
    def levels(self) -> int:
        """Noise levels; level 0 has the least noise."""
        return self.schedule.config.num_train_timesteps

    def share(self, level: Tensor, like: Tensor) -> Tensor:
        """σ, the noise's share, ``(b, 1, 1, 1)``, 0–1, where ``like`` is."""
        return self._at(self.schedule.sigmas, level).to(like).view(-1, 1, 1, 1)

    def time(self, level: Tensor) -> Tensor:
        """σ as denoisers take it: times the number of levels, float32 ``(b,)``."""
        return self._at(self.schedule.timesteps, level)

    def noisy(self, latents: Tensor, noise: Tensor, level: Tensor) -> Tensor:
        """Latents noised up to a level, ``(b, c, h, w)``."""
        share = self.share(level, latents)
        return (1 - share) * latents + share * noise

    def target(self, latents: Tensor, noise: Tensor, level: Tensor) -> Tensor:
        """The velocity, ``(b, c, h, w)``."""
        return noise - latents

    def _at(self, falling: Tensor, level: Tensor) -> Tensor:
        """Of a schedule that begins with the most noise."""
        return falling.to(level.device, torch.float32)[self.levels - 1 - level]


class FlowModel(FlowProcess, DiffusersModel):
    """A pipeline whose denoiser predicts velocities along a flow; see both."""

    def __init__(self, pipeline: Any, folder: Path | None = None) -> None:
        FlowProcess.__init__(self, pipeline.scheduler)
        DiffusersModel.__init__(self, pipeline, folder)
