"""How different from each other the pictures of a set are: mean pairwise cosine distance and Vendi score.

Source of the Vendi score: Friedman and Dieng, TMLR 2023, arXiv 2210.02410, definition 3.1, with the cosine of
unit features as kernel. Features are usually CLIP's; name them wherever the number is shown.
"""

import numpy as np

from expunge.judges.features import unit_rows


def mean_pairwise_distance(features: np.ndarray, what: str = "diversity") -> float:
    """Mean of 1 − cosine over all pairs of different pictures: 0 (all alike) to 2; 1 if all are orthogonal.

    Args:
        features: (n, d); any length of rows.

    Raises:
        ExpungeError: fewer than two pictures, NaN, or a zero row.
    """
    rows = unit_rows(features, what, at_least=2)
    n = len(rows)
    # The squared length of the sum holds every cosine: n of pictures with themselves, the others twice.
    mean_cosine = (float((rows.sum(axis=0) ** 2).sum()) - n) / (n * (n - 1))
    return float(np.clip(1 - mean_cosine, 0.0, 2.0))


def vendi_score(features: np.ndarray, what: str = "diversity") -> float:
    """The effective number of different pictures: exp of the entropy of the eigenvalues of K/n, 1 to n.

    Args:
        features: (n, d); any length of rows. At most d can be reached.

    Raises:
        ExpungeError: no pictures, NaN, or a zero row.
    """
    rows = unit_rows(features, what)
    # Squared singular values of X/√n are the non-zero eigenvalues of X Xᵀ/n, at the cost of the smaller side.
    eigenvalues = np.linalg.svd(rows, compute_uv=False) ** 2 / len(rows)
    eigenvalues = eigenvalues[eigenvalues > 1e-12]
    return float(np.exp(-(eigenvalues * np.log(eigenvalues)).sum()))
