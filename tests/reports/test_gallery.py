"""Which pictures are shown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from expunge.reports.gallery import (
    PAIRS_OF_RETAIN,
    PAIRS_PER_TARGET,
    PAIRS_PER_WORST,
    build_gallery,
    spread,
    suffered,
)


def test_shows_pairs_of_targets_of_the_rest_and_of_the_worst(make_facts):
    facts = make_facts()
    gallery = build_gallery(facts)
    assert {name: len(pairs) for name, pairs in gallery.targets.items()} == {
        "blob-style": PAIRS_PER_TARGET,
        "cat-object": 9,
    }
    assert len(gallery.retain) == PAIRS_OF_RETAIN
    assert not any("cat" in pair.prompt or "blob" in pair.prompt for pair in gallery.retain)
    assert [row.level for row, _ in gallery.worst] == ["fox", "noto", "fluent"]
    assert all(len(pairs) == PAIRS_PER_WORST for _, pairs in gallery.worst)
    for row, pairs in gallery.worst:
        assert all(row.level in pair.prompt and "cat" not in pair.prompt for pair in pairs)
    assert all(pair.before != pair.after for pair in gallery.retain)


@pytest.mark.parametrize("count", [1, 5, 18, 24, 100])
def test_spread_visits_strata_evenly(count, parts):
    pictures = parts["pictures"](8, 3)[0]  # 18 strata of 3
    chosen = spread(pictures, list(range(len(pictures))), count)
    assert len(set(chosen)) == len(chosen) == min(count, 54) and chosen == sorted(chosen)
    strata = [pictures.prompts[i].stratum for i in chosen]
    times = [strata.count(stratum) for stratum in set(strata)]
    assert max(times) - min(times) <= 1 and len(times) == min(count, 18)


@given(indices=st.sets(st.integers(0, 17)), count=st.integers(1, 30))
def test_spread_stays_within_what_is_allowed(indices, count, parts):
    pictures = parts["pictures"](8, 1)[0]
    chosen = spread(pictures, sorted(indices), count)
    assert set(chosen) <= indices and len(chosen) == min(count, len(indices))


def test_only_losses_count_as_suffered_largest_first(parts):
    rows = suffered(tuple(reversed(parts["evaluation"]().collateral)))
    losses = [row.before - row.after for row in rows]
    assert rows[0].level == "fox" and losses == sorted(losses, reverse=True) and min(losses) > 0
