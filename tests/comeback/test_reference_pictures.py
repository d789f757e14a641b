"""Image-to-image from pictures of the target."""

import pytest

from expunge.comeback.reference_pictures import ReferenceSettings, reference_pictures
from expunge.comeback.trial import Trial
from expunge.errors import ExpungeError
from expunge.pictures.drawing import DrawingSettings
from tests.comeback.conftest import colour_trial


def redrawn(model, pictures, target, steps=2, **settings):
    how = ReferenceSettings.model_validate({"strengths": (0.5, 1.0), "pictures": 3} | settings)
    return reference_pictures(model, pictures, colour_trial(target, DrawingSettings(steps=steps)), how)


def test_every_strength_is_tried_with_and_without_the_name(tiny_model, pictures, dog):
    before = tiny_model.digest()
    result = redrawn(tiny_model, pictures, dog)
    assert [(each.strength, each.asked) for each in result.points] == [
        (0.5, "target"),
        (0.5, "nothing"),
        (1.0, "target"),
        (1.0, "nothing"),
    ]
    assert {each.found.samples for each in result.points} == {3}
    assert result.given.samples == 3
    assert tiny_model.digest() == before
    assert redrawn(tiny_model, pictures, dog) == result


def test_less_than_a_step_and_strengths_out_of_range_are_refused(tiny_model, pictures, dog):
    with pytest.raises(ExpungeError, match="strength: 0.4 of 2 steps is less than one step; .* at least 0.5"):
        redrawn(tiny_model, pictures, dog, strengths=(0.4,))
    for strengths in ((0.0,), (1.1,), (0.5, 0.5), ()):
        with pytest.raises(ValueError, match="strengths"):
            ReferenceSettings(strengths=strengths)


def test_too_few_pictures_are_refused(tiny_model, pictures, dog):
    with pytest.raises(ExpungeError, match="reference pictures: pictures that ask for 'dog': 0 given, at least 3"):
        redrawn(tiny_model, pictures.where(lambda prompt: not dog.matches(prompt)), dog)


def test_batch_size_does_not_matter(tiny_model, pictures, dog):
    few = pictures.where(dog.matches)
    texts, seeds = [prompt.text for prompt in few.prompts], list(range(len(few)))
    whole, parts = (tiny_model.redraw(few.pictures, texts, seeds, 0.5, steps=2, batch_size=size) for size in (64, 2))
    assert abs(whole.astype(int) - parts).max() <= 1


def test_an_untouched_model_keeps_what_it_is_given_at_low_strength_and_draws_it_when_asked(zoo, zoo_case, cat):
    trial = Trial(zoo_case, cat, 3)
    drawn = trial.draw(zoo, trial.asked("train", 16), "given")
    settings = ReferenceSettings(strengths=(0.34, 1.0), pictures=16)
    result = reference_pictures(zoo, drawn, trial, settings)
    found = {(each.strength, each.asked): each.found for each in result.points}
    assert result.given.value >= 0.75  # its accuracy
    for asked in ("target", "nothing"):
        assert abs(found[0.34, asked].value - result.given.value) <= 0.13  # two of sixteen
    assert abs(found[1.0, "target"].value - result.given.value) <= 0.25
    assert found[1.0, "nothing"].high < found[1.0, "target"].low  # nothing of the picture is left
