"""Picture quality of a model pair: every distance between sets, and every picture against its own, in one record."""

from collections.abc import Sequence

import numpy as np
from pydantic import BaseModel, ConfigDict

from expunge.errors import ExpungeError
from expunge.judges.extractors import Extractor, checked_pictures
from expunge.metrics.cmmd import cmmd_change
from expunge.metrics.frechet_distance import feature_label, frechet_change
from expunge.metrics.kernel_distance import kernel_change
from expunge.metrics.manifold import DENSITY_NEIGHBOURS, PRECISION_NEIGHBOURS, manifold_change
from expunge.metrics.numbers import Change, Interval
from expunge.metrics.paired_drift import PairedDrift, mean_drift, paired_drift

WHAT = "quality"
LEAST_PAIRS = PRECISION_NEIGHBOURS + 1
LEAST_REFERENCE = max(PRECISION_NEIGHBOURS, DENSITY_NEIGHBOURS) + 1


class DriftScores(BaseModel):
    """How far the pictures moved from those of the model as it was; 0: not at all.

    Attributes:
        features: mean of 1 − cosine of features, 0–2.
        structure: mean structural distance, 0–1.
        structure_name: which one.
        features_by_picture: n distances, in the order of the pictures.
        structure_by_picture: the same.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    features: Interval
    structure: Interval
    structure_name: str
    features_by_picture: tuple[float, ...]
    structure_by_picture: tuple[float, ...]


class QualityScores(BaseModel):
    """Quality of the pictures before and after, all against one reference, all between the same features.

    Attributes:
        features: the extractor's name and width, with a warning if FD had too few pictures.
        samples: pictures on each side of the pair.
        reference_samples: pictures of the reference.
        frechet_distance: FD (FID if the features are Inception's), ≥ 0, lower is better.
        kernel_distance: KD (KID if the features are Inception's), lower is better; a little below 0 is 0.
        cmmd: ≥ 0, lower is better; None where the features are not CLIP's.
        precision: 0–1, share of pictures that look like the reference.
        recall: 0–1, share of the reference that the pictures look like.
        density: ≥ 0, about 1 where pictures and reference are alike.
        coverage: 0–1, share of the reference with a picture near it.
        precision_neighbours: k of precision and recall.
        density_neighbours: k of density and coverage.
        drift: each picture against its own before.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    features: str
    samples: int
    reference_samples: int
    frechet_distance: Change
    kernel_distance: Change
    cmmd: Change | None
    precision: Change
    recall: Change
    density: Change
    coverage: Change
    precision_neighbours: int
    density_neighbours: int
    drift: DriftScores


def quality(
    before: np.ndarray,
    after: np.ndarray,
    reference: np.ndarray,
    extractor: Extractor,
    clusters: Sequence[str] | None,
    seed: int,
    resamples: int = 200,
) -> QualityScores:
    """All quality metrics of one model pair.

    Args:
        before: pictures of the model as it was, RGB, uint8, (n, h, w, 3).
        after: pictures of the model in question, same prompts and noise, in the same order.
        reference: the yardstick, (m, h, w, 3), of any size: other pictures of the model as it was, or real ones.
        extractor: makes the features of all of them.
        clusters: n prompt texts.
        seed: of the bootstraps.
        resamples: of the intervals of FD, KD and CMMD. FD's take time in proportion, and with wide features long.

    Raises:
        ExpungeError: pictures that are no pairs, fewer than 4 of them or 6 of the reference, fewer than two different
            prompts, or features that are NaN; the message says which.
    """
    sets = {"before": before, "after": after, "reference": reference}
    was, now, base = (checked_pictures(each, f"{WHAT}, pictures {name}") for name, each in sets.items())
    if was.shape != now.shape:
        raise ExpungeError(f"{WHAT}: pictures {was.shape} before and {now.shape} after; they must be pairs.")
    _enough(was, "before and after", LEAST_PAIRS)
    _enough(base, "reference", LEAST_REFERENCE)
    first, second = extractor.features(was), extractor.features(now)
    yardstick = first if reference is before else extractor.features(base)
    drift = paired_drift(was, now, first, second)
    return quality_of_features(
        first, second, yardstick, drift, extractor.name, extractor.is_clip, clusters, seed, resamples
    )


def quality_of_features(
    before: np.ndarray,
    after: np.ndarray,
    reference: np.ndarray,
    drift: PairedDrift,
    name: str,
    is_clip: bool,
    clusters: Sequence[str] | None,
    seed: int,
    resamples: int = 200,
) -> QualityScores:
    """As ``quality``, where the pictures themselves are no longer at hand.

    Args:
        before: features (n, d) of the model as it was.
        after: features (n, d) of the model in question, same prompts and noise.
        reference: features (m, d) of the yardstick.
        drift: of the n pairs.
        name: of the features' extractor.
        is_clip: whether they are CLIP's, which CMMD asks for.

    Raises:
        ExpungeError: as in ``quality``.
    """
    _enough(before, "before and after", LEAST_PAIRS)
    _enough(reference, "reference", LEAST_REFERENCE)
    near = manifold_change(before, after, reference, clusters, seed)
    return QualityScores(
        features=feature_label(name, before.shape[1], min(len(before), len(reference))),
        samples=len(before),
        reference_samples=len(reference),
        frechet_distance=frechet_change(before, after, reference, clusters, seed, resamples),
        kernel_distance=kernel_change(before, after, reference, clusters, seed, resamples),
        cmmd=cmmd_change(before, after, reference, clusters, seed, resamples) if is_clip else None,
        precision=near.precision,
        recall=near.recall,
        density=near.density,
        coverage=near.coverage,
        precision_neighbours=PRECISION_NEIGHBOURS,
        density_neighbours=DENSITY_NEIGHBOURS,
        drift=DriftScores(
            features=mean_drift(drift.features, clusters, seed),
            structure=mean_drift(drift.structure, clusters, seed),
            structure_name=drift.structure_name,
            features_by_picture=tuple(drift.features.tolist()),
            structure_by_picture=tuple(drift.structure.tolist()),
        ),
    )


def _enough(pictures: np.ndarray, name: str, at_least: int) -> None:
    if len(pictures) < at_least:
        raise ExpungeError(f"{WHAT}: {len(pictures)} pictures {name}, at least {at_least} needed. Draw more pictures.")
