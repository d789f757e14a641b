"""The pace: growth while the target is found, standstill after, on any method's own line."""

import math

import pytest

from expunge.errors import ExpungeError
from expunge.unlearning.forget.anchor import Anchor
from expunge.unlearning.forget.truncated import Truncated
from expunge.unlearning.loop import Hooks, unlearn
from expunge.unlearning.pace import Pace
from expunge.unlearning.unlearn_settings import PaceSettings, UnlearnSettings
from tests.unlearning.conftest import make_unet

ENOUGH = 0.9
THRESHOLD = 1.0
CHECK_EVERY = 4


def made(most: float = math.inf, **settings) -> Pace:
    return Pace(PaceSettings(**settings), Truncated(THRESHOLD), CHECK_EVERY, most)


def test_each_check_that_finds_the_target_lengthens_the_steps_up_to_the_most() -> None:
    pace = made(growth=2, most=3)
    factors = []
    for forgotten in (None, 0.0, None, 0.5, 0.89):
        pace.learn(-0.2, forgotten, ENOUGH)
        factors.append(pace.factor)
    assert factors == [1, 2, 2, 3, 3] and not pace.done


def test_once_forgotten_steps_shrink_evenly_to_standstill() -> None:
    pace = made(settle_steps=3, growth=2, settle_weight=0.5)
    pace.learn(-0.2, 0.0, ENOUGH)
    assert pace.forget_weight == 1
    pace.learn(-0.2, 0.95, ENOUGH)
    factors, checks = [], []
    while not pace.done:
        assert pace.forget_weight == 0.5
        factors.append(pace.factor)
        checks.append(pace.wants_check(-0.9))
        pace.learn(-0.9, 1.0 if checks[-1] else None, ENOUGH)
    assert factors == pytest.approx([1.5, 1.0, 0.5]) and checks == [False, False, True]


def test_the_target_is_looked_for_at_a_depth_at_each_stride_beyond_and_after_so_many_steps() -> None:
    pace, checks = made(depth=0.4, stride=0.25), []
    for loss in (-0.2, -0.3, -0.41, -0.42, -0.53, -0.54, -0.72, -0.74, -0.75):
        checks.append(pace.wants_check(loss))
        pace.learn(loss, 0.0 if checks[-1] else None, ENOUGH)
    # The way is 0.8 long: the depth is at −0.52, the stride from −0.53 ends at −0.73.
    assert checks == [False, False, False, True, True, False, False, True, False]


def test_without_a_depth_it_is_looked_for_at_each_stride_alone() -> None:
    pace, checks = made(depth=0, stride=0.25), []
    for loss in (-0.2, -0.3, -0.41, -0.42, -0.43, -0.62):
        checks.append(pace.wants_check(loss))
        pace.learn(loss, 0.0 if checks[-1] else None, ENOUGH)
    assert checks == [False, False, True, False, False, True]


def test_forgotten_is_not_enough_above_the_depth_unless_the_loss_goes_no_further() -> None:
    pace = made(depth=0.5, stride=0.25)
    pace.learn(-0.2, None, ENOUGH)
    pace.learn(-0.45, 1.0, ENOUGH)
    assert pace.factor == 1 and pace.left is None
    pace.learn(-0.46, 1.0, ENOUGH)
    assert pace.left is not None
    deep = made(depth=0.5)
    deep.learn(-0.2, None, ENOUGH)
    deep.learn(-0.61, 1.0, ENOUGH)
    assert deep.left is not None


def test_a_method_that_does_not_look_at_the_forget_loss_is_checked_by_steps() -> None:
    pace, checks = made(), []
    for _ in range(2 * CHECK_EVERY):
        checks.append(pace.wants_check(None))
        pace.learn(None, 0.0 if checks[-1] else None, ENOUGH)
    assert [i for i, each in enumerate(checks, 1) if each] == [CHECK_EVERY, 2 * CHECK_EVERY]


def test_steps_do_not_grow_where_they_are_fast_enough_or_beyond_half_way() -> None:
    fast, far = made(growth=2, stride=0.1), made(growth=2, stride=0.1)
    for loss in (-0.2, -0.4, -0.5):
        fast.learn(loss, 0.0, ENOUGH)
    assert fast.value == 2  # at the first check, which found no way made yet
    for loss in (-0.2, -0.7, -0.7, -0.7):
        far.learn(loss, 0.5, ENOUGH)
    assert far.value == 2


def test_the_limit_of_a_step_bounds_its_growth() -> None:
    pace = made(most=1.1, growth=2, stride=0.1)
    pace.learn(-0.2, 0.0, ENOUGH)
    assert pace.factor == 1.1


def test_what_comes_back_while_settling_is_forgotten_again_at_full_pace() -> None:
    pace = made(settle_steps=1, growth=2)
    pace.learn(-0.2, 0.0, ENOUGH)
    pace.learn(-0.2, 1.0, ENOUGH)
    pace.learn(-0.2, 0.5, ENOUGH)
    assert pace.factor == 2 and pace.forget_weight == 1 and not pace.done and not pace.wants_check(-0.2)


def test_a_loss_with_a_goal_says_by_itself_when_it_is_done() -> None:
    """A judge that takes the neighbour for the target now and then would have it go on for ever."""
    pace = Pace(PaceSettings(depth=0.75, settle_steps=2), Anchor(0.0), CHECK_EVERY)
    seen = []
    for loss in (0.4, 0.2, 0.11, 0.1, 0.09, 0.08):
        seen.append((pace.wants_check(loss), pace.factor, pace.forget_weight))
        pace.learn(loss, 0.5 if seen[-1][0] else None, ENOUGH)
    assert pace.done
    assert seen == [(False, 1, 1)] * 4 + [(False, pytest.approx(2 / 3), 1), (True, pytest.approx(1 / 3), 1)]


@pytest.mark.parametrize("method", ["stepping_metric", "gradient_difference", "restricted_gradient"])
def test_a_paced_run_ends_where_forgetting_held(method: str, process, sets) -> None:
    shares = iter([0.0, 1.0, 1.0, 1.0])
    options = {"warm_start": False} if method == "stepping_metric" else {}
    how = UnlearnSettings(
        method=method,
        method_options=options,
        steps=50,
        learning_rate=1e-3,
        forget_batch_size=3,
        retain_batch_size=4,
        check_every=2,
        forget={"truncated": 1.0},
        pace={"settle_steps": 3, "settle_weight": 0.1},
    )
    trace = unlearn(make_unet(0), process, sets, how, hooks=Hooks(is_forgotten=lambda: next(shares), progress=False))
    assert trace.stopped == "forgotten"
    assert [row.pace for row in trace.rows] == pytest.approx([1, 1, 1.25, 1.25, 0.9375, 0.625, 0.3125])
    least = [1] * 4 + ([0.1] * 3 if method == "stepping_metric" else [1] * 3)
    assert [row.learning_rate for row in trace.rows] == pytest.approx([1e-3 * row.pace for row in trace.rows])
    for row, weight in zip(trace.rows, least, strict=True):
        restricted = row.conflict and method != "gradient_difference"
        assert row.forget_coefficient > weight if restricted else row.forget_coefficient == pytest.approx(weight)


def test_growth_below_one_is_refused() -> None:
    with pytest.raises((ExpungeError, ValueError), match="growth"):
        PaceSettings(growth=0.5)
