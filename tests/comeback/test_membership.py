"""Telling pictures by how well they denoise."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from expunge.comeback.membership import (
    Membership,
    MembershipSettings,
    compared,
    denoising_errors,
    knowledge,
    membership,
)
from expunge.comeback.relearning import RelearningSettings, _FineTuning
from expunge.errors import ExpungeError
from expunge.pictures.drawing import draw_over_world
from tests.comeback.conftest import ONE_STEP
from tests.metrics.colour_judges import WORLD

FEW = MembershipSettings(timesteps=3, batch_size=5)
errors = st.lists(st.integers(0, 20), min_size=2, max_size=12).map(lambda each: np.array(each, dtype=float))


@given(errors, errors)
def test_the_curve_counts_pairs_and_turns_round_when_sides_are_swapped(first, second):
    found = compared(first, second, 0)
    pairs = [(a < b) + 0.5 * (a == b) for a in first for b in second]
    assert found.auc.value == pytest.approx(np.mean(pairs))
    assert compared(second, first, 0).auc.value == pytest.approx(1 - found.auc.value)
    assert found.auc.low <= found.auc.value <= found.auc.high
    assert found.auc.samples == len(first) + len(second)


def test_one_distribution_gives_a_half_and_the_interval_holds_it_as_often_as_it_says():
    rng = np.random.default_rng(0)
    drawn: list[Membership] = [compared(rng.normal(size=40), rng.normal(size=40), i) for i in range(100)]
    assert np.mean([each.auc.value for each in drawn]) == pytest.approx(0.5, abs=0.02)
    assert np.mean([each.auc.low <= 0.5 <= each.auc.high for each in drawn]) >= 0.88


def test_smaller_errors_of_members_are_above_a_half():
    rng = np.random.default_rng(1)
    fresh = rng.normal(size=60)
    assert compared(fresh - 1, fresh, 0).auc.low > 0.5
    assert compared(fresh - 100, fresh, 0).auc.value == 1
    assert compared(fresh, fresh, 0).auc.value == 0.5


@pytest.mark.parametrize("members", [[], [1.0], [1.0, np.nan]])
def test_too_few_or_broken_errors_are_refused(members):
    with pytest.raises(ExpungeError, match="membership, members"):
        compared(np.array(members), np.array([1.0, 2.0]), 0)


def test_errors_do_not_depend_on_the_batch_size(tiny_model, pictures):
    one, other = (
        denoising_errors(tiny_model, pictures, True, MembershipSettings(timesteps=3, batch_size=size), 0)
        for size in (5, 64)
    )
    np.testing.assert_allclose(one, other, rtol=1e-5)
    assert one.shape == (len(pictures),) and (one > 0).all()


def test_pictures_that_a_model_was_trained_on_are_told_from_fresh_ones(tiny_model, pictures):
    members = pictures.select(range(6))
    fresh = draw_over_world(tiny_model, WORLD, "train", 2, 99, ONE_STEP).select(range(6))
    before = tiny_model.digest()
    twin = tiny_model.with_own_denoiser()
    _FineTuning(twin, members, RelearningSettings(learning_rate=1e-2, batch_size=12), 0).run(0, 150)
    trained = denoising_errors(twin, members, True, FEW, 0).mean()
    assert trained < denoising_errors(tiny_model, members, True, FEW, 0).mean()
    told = knowledge(twin, tiny_model, members, fresh, FEW, 0)
    assert told.members.value < 0  # less than the original's
    plain = membership(twin, members, fresh, FEW, 0)
    assert plain.members.value == pytest.approx(trained)
    assert tiny_model.digest() == before


def test_the_original_has_lost_nothing(tiny_model, pictures):
    same = knowledge(tiny_model, tiny_model, pictures.select(range(4)), pictures.select(range(4, 8)), FEW, 0)
    assert (same.auc.value, same.members.value, same.fresh.value) == (0.5, 0, 0)


def test_no_pictures_are_refused(tiny_model, pictures):
    with pytest.raises(ExpungeError, match="membership: no pictures given"):
        membership(tiny_model, pictures.select([]), pictures, FEW, 0)
