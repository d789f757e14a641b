"""Precision, recall, density and coverage, by what must be true."""

import numpy as np
import pytest

from expunge.errors import ExpungeError
from expunge.metrics.manifold import manifold


def normal(n: int, seed: int, mean: float = 0.0, spread: float = 1.0, width: int = 4) -> np.ndarray:
    return np.random.default_rng(seed).normal(mean, spread, (n, width))


def means(features: np.ndarray, reference: np.ndarray) -> tuple[float, ...]:
    found = manifold(features, reference)
    return tuple(float(each.mean()) for each in (found.precise, found.recalled, found.dense, found.covered))


def test_a_set_is_like_itself() -> None:
    rows = normal(60, 0)
    precision, recall, density, coverage = means(rows, rows)
    assert precision == recall == coverage == 1 and density >= 1


def test_far_apart_nothing_is_shared() -> None:
    assert means(normal(40, 0), normal(40, 1, mean=100)) == (0, 0, 0, 0)


def test_pictures_of_one_kind_are_precise_and_recall_little() -> None:
    reference = normal(200, 0)
    precision, recall, _, coverage = means(normal(200, 1, spread=0.1), reference)
    assert precision > 0.95 and recall < 0.2 and coverage < 0.5


def test_a_straying_set_loses_precision_step_by_step() -> None:
    reference = normal(200, 0)
    values = [means(normal(200, 1, mean=shift), reference)[0] for shift in (0, 1, 2, 4)]
    assert values[0] > values[1] > values[2] > values[3]


def test_neither_order_nor_block_matters(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, reference = normal(50, 0), normal(70, 1)
    order = np.random.default_rng(2).permutation(50)
    found = manifold(rows, reference)
    monkeypatch.setattr("expunge.metrics.manifold.BLOCK", 7)
    shuffled = manifold(rows[order], reference)
    assert (shuffled.precise == found.precise[order]).all() and (shuffled.covered == found.covered).all()
    np.testing.assert_allclose(shuffled.dense, found.dense[order])


def test_it_is_what_counting_by_hand_gives() -> None:
    rows, reference = normal(9, 0, width=2), normal(11, 1, width=2)
    to = np.linalg.norm(reference[:, None] - rows[None], axis=2)
    own = np.sort(np.linalg.norm(reference[:, None] - reference[None], axis=2), axis=1)
    found = manifold(rows, reference, precision_k=3, density_k=5)
    np.testing.assert_allclose(found.dense, (to <= own[:, [5]]).sum(axis=0) / 5)
    assert (found.precise == (to <= own[:, [3]]).any(axis=0)).all()
    assert (found.covered == (to <= own[:, [5]]).any(axis=1)).all()


@pytest.mark.parametrize(
    ("rows", "reference", "named"),
    [
        (normal(3, 0), normal(20, 1), "3 pictures"),
        (normal(20, 0), normal(5, 1), "5 pictures"),
        (normal(20, 0), normal(20, 1, width=3), "4 features, the reference 3"),
        (np.full((20, 4), np.nan), normal(20, 1), "NaN"),
    ],
)
def test_what_cannot_be_measured_says_why(rows: np.ndarray, reference: np.ndarray, named: str) -> None:
    with pytest.raises(ExpungeError, match=named):
        manifold(rows, reference)
