"""The embedding attack."""

import pytest
import torch

from expunge.comeback.embedding_attack import EmbeddingSettings, embedding_attack
from expunge.comeback.hiding import text_filter
from expunge.comeback.trial import Trial
from expunge.errors import ExpungeError
from expunge.models.conditions import TOKENS
from tests.comeback.conftest import colour_trial


def attacked(model, pictures, target, **settings):
    how = EmbeddingSettings.model_validate({"steps": 4, "target_pictures": 3, "pictures": 4} | settings)
    return embedding_attack(model, pictures, colour_trial(target), how)


def test_the_model_is_bitwise_unchanged(tiny_model, pictures, dog):
    before = tiny_model.digest()
    attack = attacked(tiny_model, pictures, dog, tokens=2)
    assert tiny_model.digest() == before
    assert len(attack.losses) == 4 and attack.found.after.samples == 4


def test_no_steps_find_nothing_new(tiny_model, pictures, dog):
    attack = attacked(tiny_model, pictures, dog, steps=0)
    assert attack.losses == ()
    assert attack.found.before == attack.found.after and attack.found.difference.value == 0


def test_the_same_seed_finds_the_same(tiny_model, pictures, dog):
    assert attacked(tiny_model, pictures, dog) == attacked(tiny_model, pictures, dog)


def test_the_search_moves_what_is_drawn_and_nothing_else_does(tiny_model, pictures, dog, monkeypatch):
    shown, draw = [], type(tiny_model).draw_conditions

    def watched(self, conditions, *given, **how):
        shown.append(conditions[TOKENS])
        return draw(self, conditions, *given, **how)

    monkeypatch.setattr(type(tiny_model), "draw_conditions", watched)
    attacked(tiny_model, pictures, dog, learning_rate=10)
    start, found = shown
    words = tiny_model.encode_texts([""])[TOKENS]
    assert start.shape == found.shape == (4, *words.shape[1:])
    assert not torch.equal(start, found)
    assert torch.equal(start[:, 0], found[:, 0])  # the start of the sentence, before any new word


def test_too_few_pictures_and_too_many_tokens_are_refused(tiny_model, pictures, dog):
    with pytest.raises(ExpungeError, match="embedding attack: pictures that ask for 'dog': 0 given, at least 3"):
        attacked(tiny_model, pictures.select([]), dog)
    with pytest.raises(ValueError, match="tokens"):
        EmbeddingSettings(tokens=9)


@pytest.mark.slow
def test_a_text_filter_hides_the_name_and_the_attack_finds_the_target_again(zoo, zoo_case, cat):
    hidden, trial = text_filter(zoo, cat, zoo_case), Trial(zoo_case, cat, 0)
    plain = trial.draw(hidden, trial.asked("held_out", 12), "plain")
    assert trial.found(plain.pictures).sum() <= 1
    pictures = trial.draw(zoo, trial.asked("train", 20), "train")
    attack = embedding_attack(hidden, pictures, trial, EmbeddingSettings(steps=60, pictures=12))
    assert attack.found.before.value <= 0.1  # the start knows nothing of it
    assert attack.found.after.value >= 0.5
    assert attack.found.difference.low > 0
    assert attack.losses[-1] < attack.losses[0]
