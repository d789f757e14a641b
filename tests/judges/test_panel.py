import numpy as np
import pytest

from expunge.errors import ExpungeError
from expunge.judges.panel import Panel
from expunge.judges.sentences import ENSEMBLE, ensemble
from expunge.prompts.world import Level
from tests.metrics.colour_judges import (
    COLOURS,
    WORLD,
    ColourClassifier,
    ColourClip,
    colour_panel,
    draw,
    prompts_for,
)

STRATA = [(subject, style) for subject in COLOURS["subject"] for style in COLOURS["style"]]


def test_clip_finds_the_levels_by_their_words():
    prompts = prompts_for(STRATA, "held_out", 2)
    pictures = draw(prompts, seed=0).pictures
    for factor in ("subject", "style"):
        found = colour_panel().recognise_by_clip(pictures, factor, WORLD)
        assert found == [prompt.factors[factor] for prompt in prompts]


def test_batches_do_not_matter():
    pictures, panel = draw(prompts_for(STRATA, "train", 2), seed=0).pictures, colour_panel()
    parts = [panel.recognise_by_clip(pictures[i : i + 5], "subject", WORLD) for i in range(0, len(pictures), 5)]
    assert sum(parts, []) == panel.recognise_by_clip(pictures, "subject", WORLD)


def test_every_level_weighs_the_same_however_many_wordings_it_has():
    """Wordings are averaged and scaled again, so a level named in ten ways is not nearer for that."""
    wordy = WORLD.model_copy(deep=True)
    wordy.factors["subject"]["cat"] = Level(train=["cat", "cat flat", "cat noto", "cat blob"])
    pictures = draw(prompts_for(STRATA, "train", 1), seed=0).pictures
    panel = colour_panel()
    assert panel.recognise_by_clip(pictures, "subject", wordy) == panel.recognise_by_clip(pictures, "subject", WORLD)


def test_a_level_is_embedded_in_as_many_sentences_as_any_other_and_always_named():
    for level in WORLD.factors["subject"]:
        sentences = ensemble(WORLD, "subject", level)
        assert len(sentences) == ENSEMBLE
        assert all(any(word in text for word in WORLD.factors["subject"][level].train) for text in sentences)


def test_classifiers_answer_by_factor():
    prompts = prompts_for(STRATA, "held_out", 1)
    found = colour_panel().recognise(draw(prompts, seed=0).pictures)
    assert found == {factor: [p.factors[factor] for p in prompts] for factor in ("subject", "style")}


def test_refusals():
    panel = colour_panel()
    with pytest.raises(ExpungeError, match="'mood' given; the world has subject, style"):
        panel.levels_by_clip(np.ones((1, 6)), "mood", WORLD)
    with pytest.raises(ExpungeError, match="NaN"):
        panel.levels_by_clip(np.full((1, 6), np.nan), "subject", WORLD)


def test_a_judge_that_drops_pictures_is_found_out():
    class Sleepy(ColourClassifier):
        def recognise(self, pictures: np.ndarray) -> list[str]:
            return super().recognise(pictures)[1:]

    with pytest.raises(ExpungeError, match="classifier of subject: 1 answers for 2 pictures"):
        Panel({"subject": Sleepy("subject")}, ColourClip()).recognise(np.zeros((2, 8, 8, 3), np.uint8))
