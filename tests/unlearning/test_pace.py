"""The pace: growth while the target is found, standstill after, on any method's own line."""

import pytest
import torch

from expunge.errors import ExpungeError
from expunge.unlearning.loop import unlearn
from expunge.unlearning.pace import Pace, PaceSettings
from expunge.unlearning.settings import UnlearnSettings
from tests.unlearning.conftest import make_unet

ENOUGH = 0.9


def made(**settings) -> Pace:
    return Pace(PaceSettings(**settings), [torch.zeros(3)])


def test_each_check_that_finds_the_target_lengthens_the_steps_up_to_the_most() -> None:
    pace = made(growth=2, most=3)
    factors = []
    for forgotten in (None, 0.0, None, 0.5, 0.89):
        pace.learn(forgotten, ENOUGH)
        factors.append(pace.factor)
    assert factors == [1, 2, 2, 3, 3] and not pace.done


def test_once_forgotten_steps_shrink_evenly_to_standstill() -> None:
    pace = made(settle_steps=3, growth=2)
    pace.learn(0.0, ENOUGH)
    pace.learn(0.95, ENOUGH)
    factors, checks = [], []
    while not pace.done:
        factors.append(pace.factor)
        checks.append(pace.wants_check())
        pace.learn(1.0 if pace.wants_check() else None, ENOUGH)
    assert factors == pytest.approx([1.5, 1.0, 0.5]) and checks == [False, False, True]


def test_what_comes_back_while_settling_is_forgotten_again_at_full_pace() -> None:
    pace = made(settle_steps=1, growth=2)
    pace.learn(0.0, ENOUGH)
    pace.learn(1.0, ENOUGH)
    pace.learn(0.5, ENOUGH)
    assert pace.factor == 2 and not pace.done and not pace.wants_check()


@pytest.mark.parametrize("value", [0.25, 1.0, 3.0])
def test_a_step_is_scaled_on_its_own_line(value: float) -> None:
    parameter = torch.tensor([1.0, -2.0, 0.5])
    start, step = parameter.clone(), torch.tensor([0.1, 0.2, -0.4])
    pace = Pace(PaceSettings(), [parameter])
    pace.value = value
    pace.hold()
    parameter += step
    assert pace.scale() == value
    torch.testing.assert_close(parameter, start + value * step)


@pytest.mark.parametrize("method", ["stepping_metric", "gradient_difference", "restricted_gradient"])
def test_a_paced_run_ends_where_forgetting_held(method: str, scheduler, forget, retain) -> None:
    shares = iter([0.0, 1.0, 1.0, 1.0])
    options = {"warm_start": "none"} if method == "stepping_metric" else {}
    how = UnlearnSettings(
        method=method,
        method_options=options,
        steps=50,
        learning_rate=1e-3,
        forget_batch_size=3,
        retain_batch_size=4,
        check_every=2,
        pace={"settle_steps": 3},
    )
    trace = unlearn(make_unet(0), scheduler, forget, retain, how, is_forgotten=lambda: next(shares), progress=False)
    assert trace.stopped == "forgotten"
    assert [row.pace for row in trace.rows] == pytest.approx([1, 1, 1.25, 1.25, 0.9375, 0.625, 0.3125])


def test_growth_below_one_is_refused() -> None:
    with pytest.raises((ExpungeError, ValueError), match="growth"):
        PaceSettings(growth=0.5)
