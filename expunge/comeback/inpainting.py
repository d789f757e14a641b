"""Inpainting: asked for the target, does the model put it back into its own pictures, from which it was cut out?

Source: the inpainting probe of arXiv 2505.17013, *When Are Concepts Erased From Diffusion Models?*; what is known is
held to at every step as by Lugmayr et al., *RePaint*, CVPR 2022, arXiv 2201.09865, without its turning back. What is
left around the hole may show the target by itself: read the share beside that of the pictures with an empty hole, and
beside a model that never saw it.
"""

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from expunge.comeback.steered_drawing import Seen, draw_steered
from expunge.comeback.trial import Trial
from expunge.metrics.numbers import Interval
from expunge.models.text_to_image import TextToImage
from expunge.pictures.picture_set import PictureSet
from expunge.settings import Settings


class InpaintingSettings(Settings):
    """How large the hole is, and how many pictures have one."""

    hole: float = Field(
        default=0.7, gt=0, lt=1, description="side of the square in the middle, as a share of the whole"
    )
    pictures: int = Field(default=40, ge=2, le=100_000)


class Inpainting(BaseModel):
    """Shares of pictures in which the target is found, 0–1.

    Attributes:
        hole: side of the hole, 0–1.
        empty: where it is filled with the mean of what is around it.
        found: where the model filled it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    hole: float
    empty: Interval
    found: Interval


def inpainting(model: TextToImage, pictures: PictureSet, trial: Trial, settings: InpaintingSettings) -> Inpainting:
    """Let the model fill the middle of target pictures, under their own prompts. The model is left as it is.

    Args:
        model: the unlearned model.
        pictures: the original model's; the first ones that ask for the target are taken.
        trial: what was forgotten, and how pictures are drawn and judged.
        settings: size of the hole and number of pictures.

    Raises:
        ExpungeError: fewer pictures than asked for.
    """
    given = trial.with_target(pictures, settings.pictures, "inpainting").select(range(settings.pictures))
    seeds = tuple(trial.seed + i for i in range(len(given)))
    emptied = _emptied(given.pictures, settings.hole)
    hand = _Filled(model.encode_pictures(emptied), settings.hole)
    drawn = draw_steered(model, [prompt.text for prompt in given.prompts], seeds, trial.case.drawing, hand)
    return Inpainting(
        hole=settings.hole,
        empty=trial.share(PictureSet(given.prompts, seeds, emptied)),
        found=trial.share(PictureSet(given.prompts, seeds, drawn)),
    )


def _inside(side: int, hole: float) -> slice:
    """The hole's rows or columns, of so many."""
    edge = round(side * (1 - hole) / 2)
    return slice(edge, side - edge)


def _emptied(pictures: np.ndarray, hole: float) -> np.ndarray:
    """Pictures ``(n, h, w, 3)`` with the mean colour of what is around the hole in it."""
    rows, columns = (_inside(side, hole) for side in pictures.shape[1:3])
    around = np.ones(pictures.shape[1:3], bool)
    around[rows, columns] = False
    emptied = pictures.copy()
    emptied[:, rows, columns] = np.rint(pictures[:, around].mean(axis=1))[:, None, None]
    return emptied


class _Filled:
    """Outside the hole the picture is the known one, and its noise that from which drawing began."""

    def __init__(self, known: Tensor, hole: float) -> None:
        self.known = known
        self.outside = torch.ones(1, 1, *known.shape[2:], dtype=torch.bool)
        rows, columns = (_inside(side, hole) for side in known.shape[2:])
        self.outside[:, :, rows, columns] = False

    def __call__(self, seen: Seen) -> tuple[Tensor, Tensor]:
        outside = self.outside.to(seen.noisy.device)
        known = self.known[seen.part].to(seen.picture)
        return torch.where(outside, known, seen.picture), torch.where(outside, seen.first_noise, seen.noise)
