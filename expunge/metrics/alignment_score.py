"""Alignment score (AS): how well pictures fit their prompts, the mean CLIP cosine of picture and prompt.

Source: CLIPScore, Hessel et al., EMNLP 2021, arXiv 2104.08718, without its factor 2.5 and its cut at zero: a
plain cosine, −1 to 1, higher is better. torchmetrics' ``CLIPScore`` wants pictures and a model; here the
features are computed once and shared with the other metrics.
"""

from collections.abc import Sequence

import numpy as np

from expunge.errors import ExpungeError
from expunge.judges.features import unit_rows
from expunge.metrics.intervals import paired_change
from expunge.metrics.numbers import Change


def cosines(picture_features: np.ndarray, text_features: np.ndarray, what: str = "alignment score") -> np.ndarray:
    """Cosine of each picture with its own prompt, (n,), −1 to 1.

    Args:
        picture_features: (n, d); any length of rows.
        text_features: (n, d); row i is the prompt of picture i.

    Raises:
        ExpungeError: no pictures, NaN, a zero row, or shapes that differ.
    """
    pictures, texts = (
        unit_rows(picture_features, f"{what}, pictures"),
        unit_rows(text_features, f"{what}, prompts"),
    )
    if pictures.shape != texts.shape:
        raise ExpungeError(f"{what}: pictures {pictures.shape} and prompts {texts.shape}; shapes must be equal.")
    return np.clip((pictures * texts).sum(axis=1), -1.0, 1.0)


def alignment_score(
    before: np.ndarray,
    after: np.ndarray,
    text_features: np.ndarray,
    clusters: Sequence[str] | None,
    seed: int,
    what: str = "alignment score",
) -> Change:
    """AS before and after, of pictures of the same prompts and seeds.

    Args:
        before: (n, d) picture features of the model as it was.
        after: (n, d) picture features of the unlearned model.
        text_features: (n, d) features of the prompts.
        clusters: n prompt texts.

    Raises:
        ExpungeError: as in ``cosines``, or fewer than two different prompts.
    """
    first, second = cosines(before, text_features, what), cosines(after, text_features, what)
    return paired_change(first, second, clusters, seed, what=what)
