"""Feature arrays as the metrics take them: finite, one row per picture; and the pictures they are made of."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

import numpy as np

from expunge.errors import ExpungeError

if TYPE_CHECKING:
    import torch


class Extractor(Protocol):
    """Turns pictures into rows of features, a batch at a time.

    Attributes:
        name: network, layer and resizing, as reports show it.
        width: d, the number of features.
        is_clip: whether the rows are CLIP's, for metrics that are defined on nothing else.
    """

    name: str
    width: int
    is_clip: bool

    def features(self, pictures: np.ndarray) -> np.ndarray:
        """Float32 ``(n, d)``. ``pictures``: RGB, uint8, ``(n, h, w, 3)``; none give ``(0, d)``.

        Raises:
            ExpungeError: pictures of another form.
        """
        ...


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
    largest = np.abs(rows).max(axis=1, keepdims=True)
    if (largest == 0).any():
        raise ExpungeError(f"{what}: features of {int((largest == 0).sum())} pictures are all zeros; check the judge.")
    rows = rows / largest  # so that the squares of huge or tiny numbers are neither infinite nor zero
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def checked_pictures(pictures: np.ndarray, what: str) -> np.ndarray:
    """The pictures as they are, contiguous in memory, if they are RGB, uint8, ``(n, h, w, 3)``.

    Raises:
        ExpungeError: another type or shape, sizes that differ, or NaN among floats; the message says which.
    """
    try:
        array = np.asarray(pictures)
    except ValueError:  # numpy on a list of arrays of different shapes
        array = np.empty(0, dtype=object)
    if array.dtype == object:
        sizes = sorted({"×".join(map(str, np.shape(each)[:2])) for each in pictures})
        raise ExpungeError(f"{what}: pictures of mixed sizes ({', '.join(sizes[:4])}); scale them to one size.")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        bad = int((~np.isfinite(array.reshape(len(array), -1)).all(axis=1)).sum())
        raise ExpungeError(f"{what}: {bad} of {len(array)} pictures hold NaN or infinity; draw them again.")
    if array.dtype != np.uint8 or array.ndim != 4 or array.shape[3] != 3 or 0 in array.shape[1:]:
        raise ExpungeError(f"{what}: pictures are {array.dtype} {array.shape}; they must be RGB, uint8, (n, h, w, 3).")
    return np.ascontiguousarray(array)  # torch takes no reversed views


def finite(number: float, what: str) -> float:
    """The number, if it is one.

    Raises:
        ExpungeError: it is NaN or infinite: the features are too large to be squared.
    """
    if not np.isfinite(number):
        raise ExpungeError(f"{what}: the result is {number}; the features are too large to measure with. Scale them.")
    return float(number)


def in_batches(
    network: Callable[["torch.Tensor"], "torch.Tensor"], pictures: np.ndarray, batch_size: int, width: int
) -> np.ndarray:
    """``network`` over uint8 batches ``(b, 3, h, w)``; only the rows of features outlive their batch."""
    import torch  # heavy, and this module is read wherever features are checked

    rows = np.empty((len(pictures), width), dtype=np.float32)
    with torch.no_grad():
        for start in range(0, len(pictures), batch_size):
            batch = torch.from_numpy(pictures[start : start + batch_size]).permute(0, 3, 1, 2)
            rows[start : start + batch_size] = network(batch).numpy()
    return rows
