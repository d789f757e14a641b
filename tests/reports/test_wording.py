"""Numbers and verdicts in words."""

import math

import pytest

from expunge.metrics.numbers import Change, Interval
from expunge.metrics.units import COSINE, DISTANCE, SHARE
from expunge.reports import wording


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (SHARE.value(0.9512), "95.1\u00a0%"),
        (SHARE.difference(-0.012), "−1.2\u00a0points"),
        (SHARE.difference(0.0004), "0.0\u00a0points"),
        (SHARE.difference(-0.0004), "0.0\u00a0points"),
        (COSINE.value(-0.3128), "−0.313"),
        (COSINE.difference(0.01), "+0.010"),
        (DISTANCE.value(0.018734), "0.0187"),
        (DISTANCE.value(41.27), "41.3"),
        (SHARE.value(math.nan), "not measured"),
        (SHARE.difference(math.inf), "not measured"),
        (wording.duration(0.4), "0.40\u00a0s"),
        (wording.duration(41.2), "41\u00a0s"),
        (wording.duration(185), "3\u00a0min 05\u00a0s"),
    ],
)
def test_numbers_are_written_as_people_read_them(written, expected):
    assert written == expected


def test_bounds_are_joined_so_that_signs_stay_readable():
    assert SHARE.range(Interval(value=0.95, low=0.93, high=0.97, samples=9)) == "93.0–97.0"
    assert SHARE.range(Interval(value=0.0, low=-0.025, high=0.001, samples=9), signed=True) == "−2.5 to +0.1"
    assert SHARE.range(Interval(value=0.0, low=math.nan, high=0.001, samples=9)) == "not measured"


def shifted(parts, difference: float, half: float) -> Change:
    change = parts["change"](0.95, 0.95 + difference, 0.02, 100)
    interval = Interval(value=difference, low=difference - half, high=difference + half, samples=100)
    return change.model_copy(update={"difference": interval})


@pytest.mark.parametrize(
    ("difference", "half", "expected"),
    [
        (-0.03, 0.01, "less often"),
        (0.03, 0.01, "more often"),
        (-0.005, 0.01, "No loss on everything else that"),
    ],
)
def test_the_cost_is_worded_by_its_interval(difference, half, expected, parts):
    evaluation = parts["evaluation"]().model_copy(
        update={"rest": {"retain_accuracy": shifted(parts, difference, half)}}
    )
    assert expected in wording.cost_sentences(evaluation)[0]


def test_a_request_sentence_turns_ua_into_what_is_still_found(parts):
    scores = parts["evaluation"]().targets[1]
    sentence = wording.request_sentence("cat", scores)
    assert "still shows it in 2.2\u00a0% of 144 pictures (95\u00a0% interval 0.0–5.3)" in sentence
    assert "Before, it did in 98.6\u00a0%." in sentence
    assert "not measured" in wording.request_sentence("cat", None)


def test_power_follows_from_the_width_of_the_interval(parts):
    # half = 1.96 standard errors; found four times in five at (1.96 + 0.84) standard errors.
    assert "2.8\u00a0points" in wording.power_sentence(shifted(parts, 0.0, 0.0196))


def test_different_sample_sizes_are_all_given(parts):
    change = parts["change"](0.9, 0.8, 0.02, 1200)
    other = change.model_copy(update={"after": change.after.model_copy(update={"samples": 900})})
    assert wording.table_row("RA", "", change, SHARE).samples == "1,200"
    assert wording.table_row("RA", "", other, SHARE).samples == "1,200 / 900"


def test_what_came_back_of_earlier_runs_is_named(parts):
    kept, back = parts["evaluation"]().targets[:2]
    still = kept.model_copy(update={"numbers": {"unlearning_accuracy": parts["change"](0.97, 0.98, 0.02, 40)}})
    lost = back.model_copy(update={"numbers": {"unlearning_accuracy": parts["change"](1.0, 0.25, 0.1, 40)}})
    (said,) = wording.earlier_sentences([still, lost])
    assert f"“{lost.name}”, forgotten by an earlier run, came back" in said and "75.0\u00a0% of 40 pictures" in said
    assert "None of the 1 targets" in wording.earlier_sentences([still])[0]
    assert wording.earlier_sentences([]) == []
    assert [row.label for row in wording.earlier_rows([still, lost])] == [f"UA {still.name}", f"UA {lost.name}"]
