"""The bargain: its optimality condition, its maximum, and its degenerate cases."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from expunge.unlearning.methods.nash_bargaining import bargain

NORMS = st.floats(-15, 15).map(lambda exponent: 10**exponent)
COSINES = st.floats(-0.999, 1.0)


@given(NORMS, NORMS, COSINES)
def test_the_solution_meets_its_condition(forget: float, retain: float, cosine: float) -> None:
    ff, fr, rr = forget**2, forget * retain * cosine, retain**2
    alpha = bargain(ff, fr, rr)
    assert ff * alpha.forget + fr * alpha.retain == pytest.approx(1 / alpha.forget, rel=1e-6)
    assert fr * alpha.forget + rr * alpha.retain == pytest.approx(1 / alpha.retain, rel=1e-6)
    assert alpha.conflict == (fr < 0)


@given(NORMS, NORMS, st.floats(-0.99, 0.99), st.floats(-3, 3))
def test_no_other_direction_of_the_same_length_bargains_better(
    forget: float, retain: float, cosine: float, angle: float
) -> None:
    # In the plane of the two gradients: g_f = ‖g_f‖ (1, 0), g_r = ‖g_r‖ (cos φ, sin φ).
    sine = math.sqrt(1 - cosine**2)
    alpha = bargain(forget**2, forget * retain * cosine, retain**2)
    x = alpha.forget * forget + alpha.retain * retain * cosine
    y = alpha.retain * retain * sine

    def gain(along: float, across: float) -> float:
        ours, theirs = forget * along, retain * (cosine * along + sine * across)
        return math.log(ours) + math.log(theirs) if ours > 0 and theirs > 0 else -math.inf

    length = math.hypot(x, y)
    assert gain(x, y) >= gain(length * math.cos(angle), length * math.sin(angle)) - 1e-9


def test_both_objectives_fall_at_right_angles_as_in_conflict() -> None:
    square = bargain(4.0, 0.0, 9.0)
    assert (square.forget, square.retain) == (0.5, pytest.approx(1 / 3))
    steep = bargain(1.0, -0.9, 1.0)
    assert steep.forget * 1.0 + steep.retain * -0.9 > 0


def test_zero_and_opposed_gradients() -> None:
    lone = bargain(0.0, 0.0, 4.0)
    assert (lone.forget, lone.retain) == (0.0, 0.5)
    assert bargain(4.0, 0.0, 0.0).forget == 0.5
    still = bargain(1.0, -2.0, 4.0)
    assert (still.forget, still.retain, still.conflict) == (0.0, 0.0, True)
