"""Paired drift: how far each picture has moved from the one the model drew before, same prompt and same noise.

A Fréchet distance compares sets: pictures that changed places among prompts leave it at zero, and so do losses that
cancel in the mean. Drift compares each picture with its own and sees both. It is damage only where nothing was to
change, so measure it on retain prompts.

- feature distance: 1 − cosine of the two pictures' features, 0–2; with CLIP features the CLIP distance.
- structural distance: 1 − MS-SSIM, 0–1, on the pixels, through torchmetrics; no weights. Source: Wang, Simoncelli and
  Bovik, *Multiscale structural similarity*, Asilomar 2003.

Differs from the paper: it has five scales and colour-blind pictures of some 200 pixels or more. Here each colour
channel is compared and the mean taken; smaller pictures get as many scales as fit (three at 64 pixels), with the
exponents of those scaled to sum 1; negative likeness counts as none.
"""

from collections.abc import Sequence

import numpy as np

from expunge.errors import ExpungeError
from expunge.judges.features import checked_pictures
from expunge.metrics.alignment_score import cosines
from expunge.metrics.intervals import bootstrap_mean
from expunge.metrics.numbers import Change, Interval
from expunge.metrics.sample import Pair, Sample

WHAT = "paired drift"
EXPONENTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # of the paper, finest scale first
WINDOW = 11
BATCH = 64


def feature_distances(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """1 − cosine of each pair of rows, (n,), 0–2.

    Raises:
        ExpungeError: no pictures, NaN, a row of zeros, or shapes that differ.
    """
    return 1 - cosines(before, after, WHAT)


def structural_distances(before: np.ndarray, after: np.ndarray) -> tuple[np.ndarray, str]:
    """1 − MS-SSIM of each pair, (n,), 0–1, and its name with the number of scales.

    In float32, which torch convolves 17 times as fast, and good to about 1e-4; equal pictures have exactly 0.

    Raises:
        ExpungeError: no pictures, pictures that are no pairs of one size, or smaller than 11×11.
    """
    import torch  # heavy, and this module is read wherever an evaluation is
    from torchmetrics.functional.image import multiscale_structural_similarity_index_measure as ms_ssim

    first, second = (checked_pictures(each, WHAT) for each in (before, after))
    if first.shape != second.shape or not len(first):
        raise ExpungeError(f"{WHAT}: pictures {first.shape} before and {second.shape} after; at least 1 pair needed.")
    scales = _scales(min(first.shape[1:3]))
    exponents = tuple(each / sum(EXPONENTS[:scales]) for each in EXPONENTS[:scales])
    tensors = [torch.from_numpy(each).permute(0, 3, 1, 2).float() / 255 for each in (first, second)]
    likeness = [
        ms_ssim(
            *(each[start : start + BATCH] for each in tensors),
            kernel_size=WINDOW,
            data_range=1.0,
            betas=exponents,
            normalize="relu",
            reduction="none",
        )
        for start in range(0, len(first), BATCH)
    ]
    distances = np.clip(1 - torch.cat(likeness).numpy().astype(np.float64), 0.0, 1.0)
    distances[(first == second).all(axis=(1, 2, 3))] = 0.0  # what rounding leaves of it
    return distances, f"1 − MS-SSIM, {scales} {'scale' if scales == 1 else 'scales'}"


def mean_drift(distances: np.ndarray, clusters: Sequence[str] | None, seed: int) -> Interval:
    """Mean distance with its bootstrap interval over prompts.

    Args:
        distances: (n,) one kind of distance.
        clusters: n prompt texts.

    Raises:
        ExpungeError: fewer than two different prompts, or NaN.
    """
    return bootstrap_mean(distances, seed, clusters=clusters, what=WHAT)


def moved(sample: Sample) -> Change:
    """How far the rest's pictures moved by CLIP; before, each is its own picture, at no distance."""
    return from_nothing(moved_by(sample.rest, sample.seed))


def restructured(sample: Sample) -> Change:
    """How far they moved by their structure, at the size of thumbnails."""
    return from_nothing(restructured_by(sample.rest, sample.seed)[0])


def moved_by(pair: Pair, seed: int) -> Interval:
    """Mean 1 − CLIP cosine of each picture and its own before, 0–2."""
    return mean_drift(feature_distances(pair.was.features, pair.now.features), pair.texts, seed)


def restructured_by(pair: Pair, seed: int) -> tuple[Interval, str]:
    """Mean structural distance of each picture and its own before, 0–1, and what that is."""
    distances, name = structural_distances(pair.was.thumbnails, pair.now.thumbnails)
    return mean_drift(distances, pair.texts, seed), f"{name}, at {pair.was.thumbnails.shape[1]} pixels"


def from_nothing(distance: Interval) -> Change:
    """A distance from the picture before as a change: that of the picture before from itself is none."""
    before = Interval(value=0.0, low=0.0, high=0.0, samples=distance.samples)
    return Change(before=before, after=distance, difference=distance)


def _scales(side: int) -> int:
    """As many scales as torchmetrics allows: the side, divided by (scales − 1)², must exceed the window less one."""
    if side < WINDOW:
        raise ExpungeError(f"{WHAT}: pictures have a side of {side} pixels; at least {WINDOW} needed.")
    return max(n for n in range(1, len(EXPONENTS) + 1) if side // max(1, (n - 1) ** 2) >= WINDOW and side >= 2**n)
