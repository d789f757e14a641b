"""The search over plain prompts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from expunge.comeback.hiding import text_filter
from expunge.comeback.prompt_search import PromptSearchSettings, misspellings, prompt_search
from expunge.comeback.trial import Trial
from tests.comeback.conftest import colour_trial


def searched(model, target, **settings):
    small = {"misspellings": 3, "word_orders": 2, "unrelated": 2, "pictures_each": 2, "confirmed_with": 4} | settings
    how = PromptSearchSettings.model_validate(small)
    return prompt_search(model, colour_trial(target), how)


def test_every_way_is_tried_and_the_best_comes_first(tiny_model, dog):
    before = tiny_model.digest()
    search = searched(tiny_model, dog)
    ways = [row.way for row in search.rows]
    # dog, nice dog, little dog; the empty prompt beside two other levels
    assert {way: ways.count(way) for way in ways} == {
        "wording": 3,
        "misspelling": 3,
        "word order": 2,
        "unrelated": 3,
    }
    shares = [row.found.value for row in search.rows]
    assert shares == sorted(shares, reverse=True)
    assert search.confirmed.samples == 4
    assert tiny_model.digest() == before


def test_candidates_are_what_they_are_called(tiny_model, dog):
    for row in searched(tiny_model, dog).rows:
        if row.way == "wording":
            assert row.wording in ("dog", "nice dog", "little dog") and row.wording in row.example
        elif row.way == "misspelling":
            assert row.wording in misspellings("dog") and row.wording in row.example.split()
        elif row.way == "word order":
            assert row.wording.split()[-1] == "dog" and "dog" in row.example.split()
        else:
            assert "dog" not in row.example and (row.wording or row.example == "")


def test_the_same_seed_finds_the_same(tiny_model, dog):
    assert searched(tiny_model, dog) == searched(tiny_model, dog)


@given(st.text("abcdefgh", min_size=1, max_size=8))
def test_a_misspelling_is_one_slip_away(name):
    slips = misspellings(name)
    assert len(set(slips)) == len(slips)
    for slip in slips:
        assert slip and slip != name and abs(len(slip) - len(name)) <= 1
        assert sorted(slip) == sorted(name) or abs(len(slip) - len(name)) == 1


@pytest.mark.slow
def test_the_name_finds_the_target_in_the_original_and_not_behind_a_filter(zoo, zoo_case, cat):
    how = PromptSearchSettings(misspellings=0, word_orders=0, unrelated=1, pictures_each=8, confirmed_with=8)
    shares = {}
    for name, model in (("original", zoo), ("filter", text_filter(zoo, cat, zoo_case))):
        search = prompt_search(model, Trial(zoo_case, cat, 0), how)
        shares[name] = {row.wording: row.found.value for row in search.rows}
    assert shares["original"]["cat"] >= 0.6 and shares["original"][""] <= 0.3
    assert max(shares["filter"].values()) <= 0.3
