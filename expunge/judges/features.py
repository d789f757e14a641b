"""Feature arrays as the metrics take them: finite, one row per picture."""

import numpy as np

from expunge.errors import ExpungeError


def checked_features(features: np.ndarray, what: str, at_least: int = 1) -> np.ndarray:
    """The features as float64 ``(n, d)``.

    Raises:
        ExpungeError: not a matrix, fewer than ``at_least`` rows, or a NaN or infinity among them.
    """
    rows = np.array(features, dtype=np.float64, order="C")  # a copy: torch takes no reversed views
    if rows.ndim != 2 or rows.shape[1] == 0:
        raise ExpungeError(f"{what}: features of shape {rows.shape} given; they must be (pictures, width).")
    if len(rows) < at_least:
        raise ExpungeError(f"{what}: {len(rows)} pictures given, at least {at_least} needed. Draw more pictures.")
    if not np.isfinite(rows).all():
        bad = int((~np.isfinite(rows).all(axis=1)).sum())
        raise ExpungeError(f"{what}: features of {bad} of {len(rows)} pictures are NaN or infinite; check the judge.")
    return rows


def unit_rows(features: np.ndarray, what: str, at_least: int = 1) -> np.ndarray:
    """The features scaled to rows of length 1, ``(n, d)``.

    Raises:
        ExpungeError: as in ``checked_features``, or a row is all zeros and has no direction.
    """
    rows = checked_features(features, what, at_least)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    if (lengths == 0).any():
        raise ExpungeError(f"{what}: features of {int((lengths == 0).sum())} pictures are all zeros; check the judge.")
    return rows / lengths
