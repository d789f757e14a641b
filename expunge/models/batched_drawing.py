"""Drawing batch by batch, each picture from noise of its own. Torch is imported when it is needed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from expunge.errors import ExpungeError
from expunge.progress import track

if TYPE_CHECKING:
    import torch


def in_batches(
    draw: Callable[[slice, list[torch.Generator]], np.ndarray],
    count: int,
    seeds: Sequence[int],
    batch_size: int,
    progress: str = "",
) -> np.ndarray:
    """Draw batch by batch, each picture from a generator of its own.

    Args:
        draw: pictures 0–1, ``(b, h, w, 3)``, of a part of what is asked for, from their generators.
        count: n pictures.
        seeds: n seeds.
        batch_size: pictures at once.
        progress: label of the progress bar; none if empty.

    Returns:
        RGB, uint8, ``(n, h, w, 3)``.

    Raises:
        ValueError: nothing to draw, or not as many seeds.
        ExpungeError: a picture that is not finite.
    """
    import torch

    if count != len(seeds) or not count:
        raise ValueError(f"{count} texts and {len(seeds)} seeds: must be equal and at least one")
    drawn = []
    for start in track(range(0, count, batch_size), progress):
        part = slice(start, start + batch_size)
        pictures = draw(part, [torch.Generator().manual_seed(seed) for seed in seeds[part]])
        if not np.isfinite(pictures).all():
            raise ExpungeError(
                "model: draws values that are not finite; look for NaN in its weights, or lower the guidance."
            )
        drawn.append(np.rint(pictures * 255).astype(np.uint8))
    return np.concatenate(drawn)
