"""EraseDiff: the constraint on the direction, and the noise that is learnt instead."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from expunge.unlearning.batches import predict
from expunge.unlearning.methods.erase_diff import barrier_rule
from tests.unlearning.methods.stage import Stage

NORMS = st.floats(-8, 8).map(lambda exponent: 10**exponent)


@given(NORMS, NORMS, st.floats(-1, 1), st.floats(0.01, 10))
def test_forgetting_goes_on_at_least_at_the_barriers_rate(forget, retain, cosine, barrier) -> None:
    ff, fr = forget**2, forget * retain * cosine
    chosen = barrier_rule(barrier, ff, fr)
    rate = chosen.forget * ff + chosen.retain * fr
    slack = 1e-9 * (barrier * ff + abs(fr))
    assert chosen.retain == 1 and chosen.forget >= 0
    assert rate >= barrier * ff - slack
    if chosen.forget > 0:  # no further than that
        assert rate <= barrier * ff + slack


def test_without_a_forget_gradient_only_the_retain_loss_counts() -> None:
    chosen = barrier_rule(0.1, 0.0, 0.0)
    assert (chosen.forget, chosen.retain) == (0.0, 1.0)


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
def test_uniform_noise_is_learnt_and_is_new_at_every_step(prediction: str) -> None:
    stage = Stage("erase_diff", prediction=prediction)
    forget, retain = stage.batches()
    goal = stage.method._goal(forget)
    noise = goal
    if prediction == "v_prediction":  # v = α ε − σ x
        alpha = stage.process.schedule.alphas_cumprod[forget.level].double().sqrt()[:, None, None, None]
        noise = (goal + (1 - alpha.square()).sqrt() * forget.latents) / alpha
    assert noise.min() >= -1e-4 and noise.max() <= 1 + 1e-4
    assert abs(noise.mean().item() - 0.5) < 0.05 and abs(noise.var().item() - 1 / 12) < 0.01
    loss, _ = stage.method.objective(forget, retain)
    with torch.no_grad():
        prediction_now, _ = predict(stage.denoiser, stage.process, forget)
    assert loss.item() == pytest.approx((prediction_now - goal).square().mean().item())
    assert torch.equal(stage.method._goal(forget), goal)
    stage.step(0)
    assert not torch.equal(stage.method._goal(forget), goal)
    assert not torch.equal(Stage("erase_diff", prediction=prediction, noise_seed=1).method._goal(forget), goal)


def test_the_anchor_goal_is_the_models_own_prediction_and_costs_a_third() -> None:
    stage = Stage("erase_diff", goal="anchor")
    forget, _ = stage.batches()
    with torch.no_grad():
        expected, _ = predict(stage.denoiser, stage.process, forget.under_anchors())
    assert torch.equal(stage.method._goal(forget), expected)
    assert stage.step(0).passes == pytest.approx(2 + 1 / 3)
