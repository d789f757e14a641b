"""Two one-sided tests: what they show, what they do not, and how often they are wrong."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from expunge.errors import ExpungeError
from expunge.metrics.equivalence import equivalence

numbers = st.lists(st.floats(-10, 10), min_size=2, max_size=8)


def test_shown_among_alike_and_not_where_the_means_are_the_margin_apart():
    references = [1.0, 1.1, 0.9, 1.05, 0.95]
    assert equivalence([1.02, 0.98, 1.01], references, 0.3).shown
    assert not equivalence([1.32, 1.28, 1.31], references, 0.3).shown


def test_few_and_scattered_models_show_nothing():
    found = equivalence([0.2, 1.8], [0.1, 2.0], 0.5)
    assert abs(found.difference) < 0.1 and not found.shown


@given(numbers, numbers, st.floats(0.01, 5))
def test_it_is_shown_exactly_where_the_interval_lies_within_the_margin(values, references, margin):
    found = equivalence(values, references, margin)
    inside = -margin < found.low and found.high < margin
    near = min(abs(found.low + margin), abs(found.high - margin)) < 1e-9
    assert near or found.shown == inside
    turned = equivalence(references, values, margin)
    assert turned.p_value == pytest.approx(found.p_value) and turned.difference == pytest.approx(-found.difference)


def test_at_the_margin_it_is_shown_wrongly_in_at_most_one_of_twenty():
    random = np.random.default_rng(0)
    wrong = [equivalence(random.normal(1.0, 0.7, 5), random.normal(0.0, 0.4, 10), 1.0).shown for _ in range(4000)]
    assert 0.03 < np.mean(wrong) < 0.06


@pytest.mark.parametrize(
    ("values", "margin", "what"), [([1.0], 1.0, "two"), ([1.0, np.nan], 1.0, "finite"), ([1.0, 2.0], 0.0, "margin")]
)
def test_what_says_nothing_is_refused(values, margin, what):
    with pytest.raises(ExpungeError, match=what):
        equivalence(values, [1.0, 2.0, 3.0], margin)
