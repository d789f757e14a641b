"""Relearning curves."""

import pytest

from expunge.comeback.relearning import RelearningSettings, relearn
from expunge.errors import ExpungeError
from tests.comeback.conftest import colour_trial


def relearned(model, shown, target, **settings):
    small = {"pictures": (1, 3), "harmless_pictures": 2, "steps": 4, "measure_every": 3, "measured": 4} | settings
    how = RelearningSettings.model_validate(small)
    return relearn(model, shown, colour_trial(target), how)


def test_no_steps_leave_one_point_on_each_curve_and_it_is_the_same(tiny_model, pictures, dog):
    curves = relearned(tiny_model, pictures, dog, steps=0).curves
    assert [(each.condition, each.pictures) for each in curves] == [("target", 1), ("target", 3), ("harmless", 2)]
    assert {each.points for each in curves} == {curves[0].points}
    assert [point.step for point in curves[0].points] == [0]
    assert all(each.losses == () for each in curves)


def test_the_given_model_is_bitwise_unchanged_and_the_copies_learn(tiny_model, pictures, dog):
    before, trainable = tiny_model.digest(), [p.requires_grad for p in tiny_model.denoiser.parameters()]
    (curve,) = relearned(
        tiny_model,
        pictures,
        dog,
        pictures=(1,),
        harmless_pictures=0,
        steps=120,
        measure_every=40,
        learning_rate=3e-3,
        batch_size=16,
    ).curves
    assert curve.losses[-1] < 0.9 * curve.losses[0]
    assert tiny_model.digest() == before
    assert [p.requires_grad for p in tiny_model.denoiser.parameters()] == trainable


def test_points_stand_at_every_measurement_and_at_the_end(tiny_model, pictures, dog):
    for curve in relearned(tiny_model, pictures, dog).curves:
        assert [point.step for point in curve.points] == [0, 3, 4]
        assert [point.unlearning_accuracy.samples for point in curve.points] == [4, 4, 4]
        assert len(curve.losses) == 2


def test_the_same_seed_gives_the_same_curves(tiny_model, pictures, dog):
    assert relearned(tiny_model, pictures, dog) == relearned(tiny_model, pictures, dog)


def test_harmless_pictures_show_no_target(tiny_model, pictures, dog):
    without = pictures.where(lambda prompt: not dog.matches(prompt))
    with pytest.raises(ExpungeError, match="relearning: pictures that ask for 'dog': 0 given, at least 3 needed"):
        relearned(tiny_model, without, dog)
    with pytest.raises(ExpungeError, match="do not ask for 'dog': 0 given, at least 2"):
        relearned(tiny_model, pictures.where(dog.matches), dog)


def test_an_empty_set_is_refused(tiny_model, pictures, dog):
    with pytest.raises(ExpungeError, match="0 given"):
        relearned(tiny_model, pictures.select([]), dog)


@pytest.mark.parametrize("counts", [(), (0, 1), (2, 2)])
def test_numbers_of_pictures_are_positive_and_different(counts):
    with pytest.raises(ValueError, match="pictures"):
        RelearningSettings(pictures=counts)
