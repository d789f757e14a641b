"""Alignment score (AS): how well pictures fit their prompts, the mean CLIP cosine of picture and prompt.

Source: CLIPScore, Hessel et al., EMNLP 2021, arXiv 2104.08718, without its factor 2.5 and its cut at zero: a
plain cosine, −1 to 1, higher is better. torchmetrics' ``CLIPScore`` wants pictures and a model; here the
features are computed once and shared with the other metrics.
"""

from collections.abc import Sequence

import numpy as np

from expunge.errors import ExpungeError
from expunge.judges.features import unit_rows
from expunge.judges.panel import Panel
from expunge.metrics.intervals import paired_change
from expunge.metrics.numbers import Change
from expunge.metrics.sample import Pair, Sample


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


def read_whole(texts: Sequence[str], panel: Panel) -> list[int]:
    """Places of the texts that CLIP reads to the end: a cosine with half a sentence says nothing of the other half."""
    return [i for i, cut in enumerate(panel.clip.cut_off(list(texts))) if not cut]


def of_pair(pair: Pair, panel: Panel, seed: int, what: str) -> Change | None:
    """AS of judged pictures whose prompts CLIP reads to the end; None if there are none."""
    pair = pair.select(read_whole(pair.texts, panel))
    if not len(pair):
        return None
    texts = panel.clip.text_features(pair.texts)
    return alignment_score(pair.was.features, pair.now.features, texts, pair.texts, seed, what)


def on_train(sample: Sample) -> Change | None:
    """AS on train wordings of the rest."""
    return of_pair(sample.train, sample.panel, sample.seed, "alignment score on train-level prompts")


def on_held_out(sample: Sample) -> Change | None:
    """AS on held-out wordings of the rest."""
    return of_pair(sample.rest, sample.panel, sample.seed, "alignment score on held-out-level prompts")
