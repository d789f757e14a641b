import numpy as np
import pytest

from expunge.errors import ExpungeError
from expunge.metrics.alignment_score import alignment_score, cosines


def test_closed_values():
    pictures = np.array([[1.0, 0], [0, 3], [2, 2], [-1, 0]])
    texts = np.array([[5.0, 0], [1, 0], [1, 0], [1, 0]])
    assert cosines(pictures, texts) == pytest.approx([1, 0, np.sqrt(0.5), -1])


def test_each_picture_is_held_against_its_own_prompt():
    texts = np.eye(4)
    assert cosines(texts, texts).mean() == 1
    assert cosines(texts, np.roll(texts, 1, axis=0)).mean() == 0


def test_no_change_is_zero_and_harm_is_negative():
    rng = np.random.default_rng(0)
    texts = rng.normal(size=(60, 8))
    before = texts + rng.normal(0, 0.2, size=texts.shape)
    prompts = [f"prompt {i // 3}" for i in range(60)]
    same = alignment_score(before, before, texts, prompts, seed=0)
    assert (same.difference.low, same.difference.value, same.difference.high) == (0, 0, 0)
    assert same.before.samples == 60
    harmed = alignment_score(before, before + rng.normal(size=texts.shape), texts, prompts, seed=0)
    assert harmed.difference.high < 0


def test_batches_do_not_matter():
    rng = np.random.default_rng(1)
    pictures, texts = rng.normal(size=(20, 8)), rng.normal(size=(20, 8))
    parts = np.concatenate([cosines(pictures[:7], texts[:7]), cosines(pictures[7:], texts[7:])])
    assert parts == pytest.approx(cosines(pictures, texts), abs=0)


def test_refusals():
    with pytest.raises(ExpungeError, match="AS, pictures: 0 pictures"):
        cosines(np.empty((0, 2)), np.empty((0, 2)), "AS")
    with pytest.raises(ExpungeError, match="1 of 2 pictures are NaN"):
        cosines(np.array([[1, np.nan], [1, 1]]), np.ones((2, 2)))
    with pytest.raises(ExpungeError, match="shapes must be equal"):
        cosines(np.ones((2, 2)), np.ones((3, 2)))
    with pytest.raises(ExpungeError, match="at least 2 different"):
        alignment_score(np.ones((1, 2)), np.ones((1, 2)), np.ones((1, 2)), ["one"], seed=0)


@pytest.mark.parametrize("size", [1e200, 1e-200])
def test_length_is_nothing_however_large_or_small(size):
    rows = np.array([[1.0, 0.0], [1.0, 1.0]])
    assert cosines(rows * size, np.ones((2, 2))) == pytest.approx([np.sqrt(0.5), 1.0])
