"""One target on trial."""

import pytest

from expunge.comeback.trial import Trial
from expunge.errors import ExpungeError
from expunge.judges.panel import Panel
from tests.comeback.conftest import colour_case, colour_trial
from tests.metrics.colour_judges import colour_panel


def test_a_missing_classifier_is_refused(dog):
    panel = Panel({}, colour_panel().clip)
    with pytest.raises(ExpungeError, match="no classifier for its factor 'subject', only for nothing"):
        Trial(colour_case(panel), dog, 0)


def test_noise_depends_on_seed_and_purpose_alone(tiny_model, dog):
    trial = colour_trial(dog)
    prompts = trial.asked("train", 3)
    once, again, other = (trial.draw(tiny_model, prompts, what).seeds for what in ("a", "a", "b"))
    assert once == again != other
    assert Trial(trial.case, dog, 8).draw(tiny_model, prompts, "a").seeds != once


def test_pictures_are_told_apart_by_what_they_ask_for(tiny_model, dog, pictures):
    trial = colour_trial(dog)
    asked, rest = trial.with_target(pictures, 1, "a"), trial.without_target(pictures, 1, "a")
    assert len(asked) + len(rest) == len(pictures) and all(map(dog.matches, asked.prompts))
    with pytest.raises(ExpungeError, match="b: pictures that ask for 'dog': 0 given, at least 2 needed"):
        trial.with_target(rest, 2, "b")
    with pytest.raises(ExpungeError, match="b: pictures that do not ask for 'dog': 0 given, at least 1 needed"):
        trial.without_target(asked, 1, "b")
