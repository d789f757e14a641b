"""Measured numbers."""

from expunge.metrics.numbers import Interval, complement


def test_the_complement_of_a_share_turns_its_interval_round():
    share = complement(Interval(value=0.25, low=0.125, high=0.5, samples=9))
    assert share == Interval(value=0.75, low=0.5, high=0.875, samples=9)
    assert complement(complement(share)) == share
