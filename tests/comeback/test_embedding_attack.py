"""The embedding attack."""

import pytest
import torch

from expunge.comeback.embedding_attack import EmbeddingSettings, embedding_attack
from expunge.comeback.hiding import text_filter
from expunge.errors import ExpungeError
from expunge.judges.panel import Panel
from expunge.pictures.drawing import DrawingSettings, draw_with_own_seeds
from expunge.prompts.pairing import forget_prompts
from tests.comeback.conftest import ONE_STEP
from tests.metrics.colour_judges import WORLD, colour_panel


def attacked(model, pictures, target, panel=None, **settings):
    how = EmbeddingSettings.model_validate({"steps": 4, "target_pictures": 3, "pictures": 4} | settings)
    return embedding_attack(model, pictures, target, WORLD, panel or colour_panel(), how, ONE_STEP, 7)


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
    from expunge.comeback import embedding_attack as module

    shown = []
    draw = module.draw_embeddings
    monkeypatch.setattr(module, "draw_embeddings", lambda *given: shown.append(given[1]) or draw(*given))
    attacked(tiny_model, pictures, dog, learning_rate=10)
    start, found = shown
    words = tiny_model.encode_texts([""])
    assert start.shape == found.shape == (4, *words.shape[1:])
    assert not torch.equal(start, found)
    assert torch.equal(start[:, 0], found[:, 0])  # the start of the sentence, before any new word


def test_too_few_pictures_and_a_missing_classifier_are_refused(tiny_model, pictures, dog):
    with pytest.raises(ExpungeError, match="embedding attack: pictures that ask for 'dog': 0 given, at least 3"):
        attacked(tiny_model, pictures.select([]), dog)
    with pytest.raises(ExpungeError, match="no classifier"):
        attacked(tiny_model, pictures, dog, panel=Panel({}, colour_panel().clip))
    with pytest.raises(ValueError, match="tokens"):
        EmbeddingSettings(tokens=9)


@pytest.mark.slow
def test_a_text_filter_hides_the_name_and_the_attack_finds_the_target_again(zoo, zoo_world, zoo_panel, cat):
    hidden, drawing = text_filter(zoo, cat, zoo_world, zoo_panel), DrawingSettings(steps=6)
    asked = forget_prompts(cat, zoo_world, "held_out", 12, 0)
    plain = draw_with_own_seeds(hidden, asked, "plain", drawing, "")
    assert zoo_panel.classifiers["subject"].recognise(plain.pictures).count("cat") <= 1
    pictures = draw_with_own_seeds(zoo, forget_prompts(cat, zoo_world, "train", 20, 1), "train", drawing, "")
    settings = EmbeddingSettings(steps=60, pictures=12)
    attack = embedding_attack(hidden, pictures, cat, zoo_world, zoo_panel, settings, drawing, 0)
    assert attack.found.before.value <= 0.1  # the start knows nothing of it
    assert attack.found.after.value >= 0.5
    assert attack.found.difference.low > 0
    assert attack.losses[-1] < attack.losses[0]
