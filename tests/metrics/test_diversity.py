import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from expunge.errors import ExpungeError
from expunge.metrics.diversity import mean_pairwise_distance, vendi_score


@given(st.integers(1, 12))
def test_vendi_counts_orthogonal_pictures(n):
    assert vendi_score(np.eye(12)[:n]) == pytest.approx(n)


@given(st.integers(1, 6), st.integers(1, 5))
def test_copies_add_nothing_to_vendi(kinds, copies):
    assert vendi_score(np.repeat(np.eye(6)[:kinds], copies, axis=0)) == pytest.approx(kinds)


def test_vendi_of_two_pictures_by_hand():
    """Kernel [[1, c], [c, 1]]: eigenvalues of K/2 are (1 ± c)/2."""
    c = 0.6
    rows = np.array([[1, 0], [c, np.sqrt(1 - c * c)]])
    shares = np.array([(1 + c) / 2, (1 - c) / 2])
    assert vendi_score(rows) == pytest.approx(np.exp(-(shares * np.log(shares)).sum()))
    assert mean_pairwise_distance(rows) == pytest.approx(1 - c)


@given(st.integers(0, 10**6), st.integers(2, 30), st.integers(1, 20))
def test_bounds_scale_and_order(seed, n, width):
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(n, width))
    vendi, distance = vendi_score(rows), mean_pairwise_distance(rows)
    assert 1 - 1e-9 <= vendi <= min(n, width) + 1e-9 and 0 <= distance <= 2
    other = rows[rng.permutation(n)] * rng.uniform(0.1, 9, size=(n, 1))
    assert vendi_score(other) == pytest.approx(vendi)
    assert mean_pairwise_distance(other) == pytest.approx(distance, abs=1e-9)


def test_distance_is_the_mean_over_pairs():
    rows = np.random.default_rng(0).normal(size=(9, 5))
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    pairs = [1 - unit[i] @ unit[j] for i in range(9) for j in range(i)]
    assert mean_pairwise_distance(rows) == pytest.approx(np.mean(pairs))
    assert mean_pairwise_distance(np.ones((4, 3))) == pytest.approx(0)
    assert mean_pairwise_distance(np.array([[1.0, 0], [-1, 0]])) == pytest.approx(2)


@pytest.mark.parametrize("measure", [mean_pairwise_distance, vendi_score])
def test_refusals(measure):
    with pytest.raises(ExpungeError, match="0 pictures"):
        measure(np.empty((0, 3)))
    with pytest.raises(ExpungeError, match="NaN"):
        measure(np.array([[1.0, np.nan], [1, 1]]))
    with pytest.raises(ExpungeError, match="all zeros"):
        measure(np.array([[0.0, 0], [1, 1]]))


def test_one_picture_is_one_kind_but_no_pair():
    assert vendi_score(np.ones((1, 4))) == pytest.approx(1)
    with pytest.raises(ExpungeError, match="at least 2"):
        mean_pairwise_distance(np.ones((1, 4)))
