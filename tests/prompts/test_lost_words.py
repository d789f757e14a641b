"""Sentences that are cut off, and what they lose."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from expunge.errors import ExpungeError
from expunge.prompts.lost_words import lost_words, refuse_lost_target
from expunge.prompts.target import Target
from expunge.prompts.world import World
from expunge.takedown.request import Kind
from tests.prompts.worlds import worlds

WORLD = World.model_validate(
    {
        "templates": {"train": ["a drawing of a {subject} by {style} {place}"]},
        "factors": {
            "subject": {"cat": {"train": ["red cat"]}, "dog": {"train": ["dog"]}},
            "style": {"noto": {"train": ["noto"]}},
            "place": {"sea": {"train": ["by the sea"]}, "none": {"train": [""]}},
        },
    }
)
CAT, DOG = WORLD.sample("train", 2, 0)[0], WORLD.sample("train", 2, 0)[2]


@pytest.mark.parametrize(
    ("unread", "factors"),
    [
        ("", set()),
        ("sea", {"place"}),
        ("noto by the sea", {"place", "style"}),
        ("by noto by the sea", {"place", "style"}),
        ("CAT by  noto by the sea", {"place", "style", "subject"}),  # as encoders spell: half of "red cat"
        ("tobythesea", {"place", "style"}),  # in the middle of a word
        ("a drawing of a red cat by noto by the sea", {"place", "style", "subject"}),
    ],
)
def test_what_lies_behind_the_cut_is_lost(unread, factors):
    prompt = WORLD.reworded(CAT, "place", "by the sea")
    assert set(lost_words([prompt], [unread])) == factors


def test_only_those_that_lose_something_are_named():
    dog = WORLD.reworded(DOG, "place", "")
    assert lost_words([CAT, dog], ["", "noto"]) == {"style": [dog]}


def test_a_lost_target_is_refused_and_a_lost_place_is_not():
    target = Target(request_id="cat", kind=Kind.OBJECT, name="cat", factor="subject", levels=("cat",))
    cat, dog = WORLD.reworded(CAT, "place", "by the sea"), WORLD.reworded(DOG, "place", "")
    refuse_lost_target(target, [cat, cat, dog], ["", "the sea", "dog by noto"])
    with pytest.raises(ExpungeError) as error:
        refuse_lost_target(target, [cat, cat, dog], ["", "cat by noto by the sea", ""])
    assert str(error.value) == (
        "world: 1 of 2 prompts for 'cat' are cut off before a model reads it, e.g. "
        "'a drawing of a red cat by noto by the sea'. Shorten the templates, or put the subject first."
    )


@given(worlds(), st.integers(0, 60))
def test_what_is_read_is_never_called_lost(world, letters):
    for prompt in world.sample("train", 1, 0):
        read, unread = prompt.text[:letters], prompt.text[letters:]
        lost = lost_words([prompt], [unread])
        for factor, wording in prompt.words.items():
            assert (factor in lost) == (wording not in read)
