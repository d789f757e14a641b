"""Drawing sets of pictures: prompts over a whole world, each from a noise seed of its own."""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from pydantic import Field

from expunge.pictures.draw_together import drawn_together, worth_starting
from expunge.pictures.picture_set import PictureSet
from expunge.pictures.shards import Shard
from expunge.progress import progress_bar
from expunge.prompts.world import Prompt, Side, World
from expunge.settings import Settings

if TYPE_CHECKING:  # torch takes seconds to import, and every pipeline's signature holds these settings
    from expunge.models.text_to_image import TextToImage


class DrawingSettings(Settings):
    """How pictures are drawn, everywhere in a run: before and after, training and evaluation."""

    steps: int = Field(default=20, ge=1, le=1000, description="sampling steps; time grows in proportion")
    guidance: float = Field(default=2.5, ge=1, le=30, description="classifier-free guidance; 1: off, twice as fast")
    size: int | None = Field(
        default=None, ge=8, le=4096, description="side of the pictures in pixels; null: that of the model"
    )
    batch_size: int = Field(default=64, ge=1, le=4096, description="pictures at once; memory grows in proportion")

    def how(self) -> dict[str, Any]:
        """As a model is told that has been given the size: ``Case.placed``."""
        return self.model_dump(exclude={"size"})


def draw_over_world(
    model: TextToImage, world: World, side: Side, per_stratum: int, seed: int, drawing: DrawingSettings
) -> PictureSet:
    """Draw ``per_stratum`` pictures for every stratum of the world; no target matters: shared by all takedowns."""
    prompts = world.sample(side, per_stratum, seed)
    return draw_with_own_seeds(model, prompts, f"{seed}/{side}", drawing, f"Drawing {side} world")


def draw_with_own_seeds(
    model: TextToImage, prompts: Sequence[Prompt], salt: str, drawing: DrawingSettings, label: str, processes: int = 1
) -> PictureSet:
    """Draw each prompt from a noise seed derived from ``salt`` and its place in the list."""
    return draw_prompts(model, prompts, own_seeds(prompts, salt), drawing, label, processes)


def draw_prompts(
    model: TextToImage,
    prompts: Sequence[Prompt],
    seeds: Sequence[int],
    drawing: DrawingSettings,
    label: str = "",
    processes: int = 1,
) -> PictureSet:
    """Draw each prompt from its own noise seed, under a progress bar called ``label``; without one if it is empty.

    Args:
        processes: that draw them, as far as there is enough for each (``draw_together.WORTH``).
    """
    whole = [Shard(part="", prompts=tuple(prompts), seeds=tuple(seeds))]
    many = worth_starting(whole, drawing.batch_size, processes)
    if many == 1:
        pictures = model.draw([prompt.text for prompt in prompts], seeds, progress=label, **drawing.how())
        return PictureSet(tuple(prompts), tuple(seeds), pictures)
    with progress_bar(bool(label)) as bar:
        task = bar.add_task(label, total=len(prompts), note=f"by {many} processes")
        with drawn_together(model, whole, drawing, many, partial(bar.advance, task)) as arriving:
            ((_, pictures),) = arriving
    return PictureSet(tuple(prompts), tuple(seeds), pictures)


def own_seeds(prompts: Sequence[Prompt], salt: str) -> list[int]:
    """A noise seed for each prompt, from ``salt`` and its place in the list."""
    rng = random.Random(salt)
    return [rng.randrange(2**31) for _ in prompts]
