"""The loop that trains every part of the zoo: AdamW under a cosine schedule, and the weights' moving average."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from transformers import get_cosine_schedule_with_warmup

Progress = Callable[[int, float], None]  # called after every step with its number, from 0, and its loss


@dataclass(frozen=True)
class Schedule:
    """How long and how fast.

    Attributes:
        steps: of the optimiser, one batch each.
        rate: learning rate at its highest.
        decay: AdamW's weight decay.
        betas: AdamW's.
        warm_up: share of the steps in which the rate rises; then it falls along a cosine to 0.
        clip: bound of the gradient's norm; None for no bound.
        averaging: decay of the weights' exponential moving average; None for the weights themselves.
    """

    steps: int
    rate: float
    decay: float
    betas: tuple[float, float] = (0.9, 0.99)
    warm_up: float = 0.05
    clip: float | None = 1.0
    averaging: float | None = 0.998


def fit(
    model: nn.Module, loss_of: Callable[[], Tensor], schedule: Schedule, progress: Progress | None = None
) -> nn.Module:
    """Train in place; returns the model, or the average of its weights, in evaluation mode and frozen.

    Args:
        loss_of: draws a batch and gives its loss, a scalar.
        progress: told of every step.
    """
    parameters = list(model.parameters())
    optimiser = torch.optim.AdamW(parameters, lr=schedule.rate, betas=schedule.betas, weight_decay=schedule.decay)
    rates = get_cosine_schedule_with_warmup(optimiser, int(schedule.steps * schedule.warm_up), schedule.steps)
    average = None
    if schedule.averaging is not None:
        average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(schedule.averaging))
    for step in range(schedule.steps):
        loss = loss_of()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        if schedule.clip is not None:
            nn.utils.clip_grad_norm_(parameters, schedule.clip)
        optimiser.step()
        rates.step()
        if average is not None:
            average.update_parameters(model)
        if progress is not None:
            progress(step, loss.item())
    return (model if average is None else average.module).eval().requires_grad_(False)
