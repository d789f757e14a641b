"""The filter of words."""

from pathlib import Path

import numpy as np
import pytest
import torch

from expunge.comeback.hiding import WordFilter, text_filter
from expunge.errors import ExpungeError
from expunge.models.conditions import TOKENS
from tests.comeback.conftest import colour_case, target_of
from tests.metrics.colour_judges import WORLD

FILTER = WordFilter({"cat": "dog", "black cat": "dog", "cat car": "cat car"})


def rewritten(hidden, text: str) -> str:
    """The text as the model behind the filter gets to see it."""
    return hidden._rewrite(text)


@pytest.fixture(scope="module")
def hidden(tiny_model):
    return FILTER.before(tiny_model)


@pytest.mark.parametrize(
    ("given", "seen"),
    [
        ("a Cat by noto", "a dog by noto"),
        ("black   cat", "dog"),
        ("cat car", "cat car"),
        ("a cat in a cat car", "a dog in a cat car"),
        ("concatenate cats", "concatenate cats"),
        ("", ""),
    ],
)
def test_whole_words_are_swapped_and_the_longest_wording_counts(given, seen):
    assert FILTER.rewrite(given) == seen


def test_the_target_is_drawn_as_the_neighbour_and_the_rest_as_before(tiny_model, hidden):
    def draw(model, text):
        return model.draw([text], [3], steps=2)

    assert np.array_equal(draw(hidden, "a cat by noto"), draw(tiny_model, "a dog by noto"))
    assert not np.array_equal(draw(hidden, "a cat by noto"), draw(tiny_model, "a cat by noto"))
    assert np.array_equal(draw(hidden, "a horse on white"), draw(tiny_model, "a horse on white"))
    assert torch.equal(hidden.encode_texts(["cat"])[TOKENS], tiny_model.encode_texts(["dog"])[TOKENS])


def test_weights_are_untouched_yet_it_does_not_pass_for_the_original(tiny_model, hidden, tmp_path: Path):
    assert hidden.denoiser is tiny_model.denoiser
    assert hidden.digest() != tiny_model.digest()
    assert hidden.digest() != WordFilter({"cat": "horse"}).before(tiny_model).digest()
    with pytest.raises(ExpungeError, match="text filter: not saved to model"):
        hidden.save(tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_a_copy_is_filtered_too_and_has_a_denoiser_of_its_own(hidden):
    twin = hidden.with_own_denoiser()
    assert torch.equal(twin.encode_texts(["cat"])[TOKENS], hidden.encode_texts(["dog"])[TOKENS])
    assert twin.denoiser is not hidden.denoiser and twin.digest() == hidden.digest()
    with torch.no_grad():
        next(twin.denoiser.parameters()).add_(1)
    assert twin.digest() != hidden.digest()


@pytest.mark.parametrize("level", ["bear", "apple", "cherries", "pizza", "tree"])
def test_no_wording_of_the_target_passes_and_no_other_prompt_is_touched(zoo, zoo_case, level):
    target = target_of("subject", level)
    hidden = text_filter(zoo, target, zoo_case)
    wordings = zoo_case.world.factors["subject"][level]
    for side in ("train", "held_out"):
        for prompt in zoo_case.world.sample(side, 3, 0):
            seen = rewritten(hidden, prompt.text)
            if not target.matches(prompt):
                assert seen == prompt.text
                continue
            shown = f" {seen} "
            assert not any(f" {each} " in shown for each in (level, *wordings.train, *wordings.held_out))


def test_a_style_is_hidden_as_a_subject_is(tiny_model):
    hidden = text_filter(tiny_model, target_of("style", "blob"), colour_case())
    assert rewritten(hidden, "cat by blob number 1") in {f"cat by {each} number 1" for each in ("noto", "flat")}


def test_a_target_that_is_all_there_is_cannot_be_hidden(tiny_model):
    everything = target_of("style", *WORLD.factors["style"])
    with pytest.raises(ExpungeError, match="all the model draws of its kind"):
        text_filter(tiny_model, everything, colour_case())
