"""Drawing with a hand on every step, for attacks on what a model is led to rather than on what it is asked.

A step down the noise levels takes apart where it is, x = a x₀ + b ε, into the picture x₀ and the noise ε that the
denoiser sees in it, lets a hand change the two, and puts them together again at the next level (Song et al.,
*Denoising Diffusion Implicit Models*, ICLR 2021, arXiv 2010.02502). It asks nothing but what a `NoiseProcess` answers,
so that every family can be attacked alike.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from expunge.models.batched_drawing import in_batches
from expunge.models.conditions import Conditions, cast, chosen, filled_up
from expunge.models.hardware import computing
from expunge.models.text_to_image import TextToImage
from expunge.pictures.drawing import DrawingSettings


@dataclass(frozen=True)
class Seen:
    """Where a step is, and what the denoiser makes of it.

    Attributes:
        noisy: float32 ``(b, c, h, w)``, where the model is.
        picture: x₀, of the same shape.
        noise: ε, likewise.
        level: int64 ``(b,)``.
        first_noise: from which drawing began.
        part: which of the pictures that are asked for these are.
        generators: of further noise, one a picture, on the CPU.
    """

    noisy: Tensor
    picture: Tensor
    noise: Tensor
    level: Tensor
    first_noise: Tensor
    part: slice
    generators: list[torch.Generator]


class Hand(Protocol):
    """What changes a step."""

    def __call__(self, seen: Seen) -> tuple[Tensor, Tensor]:
        """Picture and noise to go on with."""
        ...


def draw_steered(
    model: TextToImage, texts: Sequence[str], seeds: Sequence[int], drawing: DrawingSettings, hand: Hand
) -> np.ndarray:
    """One picture for each text from the noise of its own seed, RGB, uint8 ``(n, h, w, 3)``.

    Steps, guidance and batch size are the drawing's. Guidance of 1, or of texts that are all empty, is off.

    Raises:
        ExpungeError: a picture is not finite.
    """
    levels = torch.linspace(model.levels - 1, 0, drawing.steps + 1).round().long()
    own, empty = model.encode_texts(texts), model.encode_texts([""])
    shape = model.encode_pictures(np.zeros((1, model.size, model.size, 3), np.uint8)).shape[1:]
    guided = drawing.guidance > 1 and any(texts)

    @torch.no_grad()
    def batch(part: slice, generators: list[torch.Generator]) -> np.ndarray:
        asked = chosen(own, torch.arange(len(texts))[part])
        first = torch.stack([torch.randn(shape, generator=each) for each in generators]).to(model.device)
        noisy = model.noisy(torch.zeros_like(first), first, _all(levels[0], first))
        picture = noisy
        for level, next_level in zip(levels[:-1], levels[1:], strict=True):
            here = _all(level, first)
            prediction = _predict(model, noisy, here, asked)
            if guided:
                unasked = _predict(model, noisy, here, _repeated(empty, asked))
                prediction = unasked + drawing.guidance * (prediction - unasked)
            picture, noise = _apart(model, noisy, prediction, here)
            picture, noise = hand(Seen(noisy, picture, noise, here, first, part, generators))
            noisy = model.noisy(picture, noise, _all(next_level, first))
        return model.decode_latents(picture)

    return in_batches(batch, len(texts), seeds, drawing.batch_size)


def _all(level: Tensor, like: Tensor) -> Tensor:
    return level.expand(len(like)).to(like.device)


def _predict(model: TextToImage, noisy: Tensor, level: Tensor, conditions: Conditions) -> Tensor:
    with computing(model.precision, noisy.device):
        placed = cast(conditions, model.device, model.dtype)
        return model.predict(model.denoiser, noisy.to(model.dtype), level, placed).to(noisy.dtype)


def _repeated(empty: Conditions, like: Conditions) -> Conditions:
    """The empty prompt's, as often and with as many tokens as others."""
    count = len(next(iter(like.values())))
    return {name: filled_up([each.expand(count, *each.shape[1:]), like[name]])[0] for name, each in empty.items()}


def _apart(model: TextToImage, noisy: Tensor, prediction: Tensor, level: Tensor) -> tuple[Tensor, Tensor]:
    """Picture and noise, from two equations that are linear in them: where the step is, and what is predicted."""
    one, zero = torch.ones_like(noisy[:, :1, :1, :1]), torch.zeros_like(noisy[:, :1, :1, :1])
    a, b = model.noisy(one, zero, level), model.noisy(zero, one, level)
    c, d = model.target(one, zero, level), model.target(zero, one, level)
    whole = a * d - b * c
    return (d * noisy - b * prediction) / whole, (a * prediction - c * noisy) / whole
