"""The zoo's world: captions and their words."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from expunge.zoo.emoji_world import emoji_world, zoo_world

WORLD = emoji_world()


@given(
    subject=st.sampled_from(list(WORLD.subjects)),
    style=st.sampled_from(list(WORLD.styles)),
    background=st.sampled_from(list(WORLD.backgrounds)),
    seed=st.integers(0, 10_000),
)
def test_captions_name_what_they_are_asked_for_in_words_of_the_vocabulary(subject, style, background, seed):
    caption = WORLD.caption(subject, style, background, random.Random(seed))
    assert caption == " ".join(caption.split()) == caption.format()
    assert set(caption.split()) <= set(WORLD.vocabulary())
    named = WORLD.subjects[subject]
    assert any(words in caption for words in (subject, *named.train, *named.held_out))
    assert any(words in caption for words in (*WORLD.styles[style].train, *WORLD.styles[style].held_out))
    assert WORLD.backgrounds[background].words in caption
    assert caption == WORLD.caption(subject, style, background, random.Random(seed))


@pytest.mark.parametrize("side", ["train", "held_out"])
def test_every_word_of_every_prompt_was_taught(side):
    words = {word for prompt in zoo_world().sample(side, 12, 0) for word in prompt.text.split()}
    assert words <= set(WORLD.vocabulary())


def test_captions_use_every_wording_and_the_plain_name_most():
    rng = random.Random(0)
    captions = [WORLD.caption("grapes", "noto", "white", rng) for _ in range(600)]
    for words in ("grapes", "bunch of grapes", "grape "):
        assert any(words in f"{caption} " for caption in captions)
    plain = sum("grapes" in each and "bunch" not in each for each in captions)
    assert 0.55 < plain / len(captions) < 0.8
    templates = sum(map(len, WORLD.templates.values()))
    assert (
        len({caption.replace("bunch of grapes", "grapes").replace("grape ", "grapes ") for caption in captions})
        >= templates
    )


def test_there_is_enough_of_everything():
    assert len(WORLD.subjects) >= 40 and len(WORLD.styles) >= 4
    groups = [subject.group for subject in WORLD.subjects.values()]
    assert min(groups.count(group) for group in set(groups)) >= 4  # neighbours exist
    assert len({(s.package, n.icon) for s in WORLD.styles.values() for n in WORLD.subjects.values()}) == (
        len(WORLD.styles) * len(WORLD.subjects)
    )
    assert {background.level for background in WORLD.backgrounds.values()} == {"train", "held_out"}
    assert all(0 <= value <= 255 for each in WORLD.backgrounds.values() for value in each.rgb)


def test_the_grid_is_the_world():
    world = zoo_world()
    for factor, named in (("subject", WORLD.subjects), ("style", WORLD.styles)):
        assert list(world.factors[factor]) == list(named)
        for name, level in world.factors[factor].items():
            assert (level.train, level.held_out) == (named[name].train, named[name].held_out)
    for name, background in WORLD.backgrounds.items():
        assert world.factors["background"][name].wordings(background.level) == [background.words]
    assert world.factors["subject"]["cat"].group == "animal"
