"""Showing a panel the reference pictures of memorised ones: two judges, on the features of two extractors."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from expunge.judges.extractors import ClipExtractor, PixelExtractor, load_extractor
from expunge.judges.features import Extractor
from expunge.judges.likeness import LikenessJudge, References
from expunge.judges.panel import Panel
from expunge.prompts.world import PICTURE


def see_references(
    panel: Panel, features: tuple[str, str], references: Mapping[str, np.ndarray], others: np.ndarray
) -> tuple[References, References]:
    """What two extractors make of the references: the panel's second one is its CLIP.

    Args:
        panel: the judges.
        features: what the first one is called, as ``load_extractor`` takes it, and Inception's weights; where the name
            is empty it is the pixels', or CLIP where that is the panel's only judge.
        references: by level of the factor ``picture``, uint8 ``(r, h, w, 3)``.
        others: what the base drew under other prompts, uint8 ``(n, h, w, 3)``.

    Raises:
        ExpungeError: the first one's weights are not there, or as in ``References.of``.
    """
    name, weights = features
    first, second = _first(panel, name, weights), ClipExtractor(panel.clip)
    known = References.of(first, references, others).model_copy(update={"source": name, "weights": weights})
    return known, References.of(second, references, others)


def with_references(panel: Panel, references: tuple[References, References]) -> Panel:
    """The panel with a judge, and a second one, of the factor ``picture``.

    Raises:
        ExpungeError: an extractor is not the one that the references were seen by.
    """
    known, by_clip = references
    judge = LikenessJudge(_first(panel, known.source, known.weights), known)
    opinion = LikenessJudge(ClipExtractor(panel.clip), by_clip)
    return replace(
        panel,
        classifiers={**panel.classifiers, PICTURE: judge},
        opinions={**panel.opinions, PICTURE: opinion},
    )


def _first(panel: Panel, name: str, weights: str) -> Extractor:
    if name:
        return load_extractor(name, weights or None)
    return ClipExtractor(panel.clip) if panel.one_judge else PixelExtractor()
