"""Low-rank erasure: the rank, the chain rule, the target, and what is left alone."""

import pytest
import torch

from expunge.unlearning.batches import LatentSets, predict
from expunge.unlearning.loop import Hooks, unlearn
from expunge.unlearning.safeguard import Safeguard, make_probe
from expunge.unlearning.unlearn_settings import SafeguardSettings, UnlearnSettings
from tests.unlearning.conftest import make_set, make_unet
from tests.unlearning.methods.stage import Stage


@pytest.mark.parametrize("layers", ["cross_attention", "linear", "linear_and_convolution"])
def test_every_update_has_at_most_the_rank(layers: str) -> None:
    stage = Stage("low_rank_erasure", rank=2, layers=layers)
    for number in range(3):
        stage.step(number)
    assert stage.moved() == set(stage.method.moved)
    for name in stage.moved():
        update = (stage.denoiser.get_parameter(name) - stage.start[name]).detach().flatten(1)
        values = torch.linalg.svdvals(update)
        assert values[0] > 0 and (values[2:] <= 1e-9 * values[0]).all()
        a, b = stage.method.factors[f"a/{name}"], stage.method.factors[f"b/{name}"]
        torch.testing.assert_close(update, b @ a, rtol=1e-9, atol=1e-12)
    kinds = {"cross_attention": ".attn2.", "linear": "linear_1", "linear_and_convolution": "conv_in"}
    assert any(kinds[layers] in name for name in stage.moved())


def test_factor_gradients_are_the_derivatives_of_the_loss() -> None:
    stage = Stage("low_rank_erasure", rank=2, layers="linear_and_convolution")
    stage.step(0)  # afterwards neither factor is zero
    method, batches = stage.method, stage.batches(1)
    loss, _ = method.objective(*batches)
    gradients = method._by_factor(list(torch.autograd.grad(loss, list(method.moved.values()), allow_unused=True)))
    generator = torch.Generator().manual_seed(0)
    directions = {n: torch.randn(f.shape, generator=generator).double() for n, f in method.factors.items()}
    slope = sum((g * d).sum().item() for g, d in zip(gradients, directions.values(), strict=True))

    def loss_at(distance: float) -> float:
        with torch.no_grad():
            before = {name: p.clone() for name, p in method.moved.items()}
            for name, p in method.moved.items():
                old = method.factors[f"b/{name}"] @ method.factors[f"a/{name}"]
                b = method.factors[f"b/{name}"] + distance * directions[f"b/{name}"]
                a = method.factors[f"a/{name}"] + distance * directions[f"a/{name}"]
                p.add_((b @ a - old).view_as(p))
            value = method.objective(*batches)[0].item()
            for name, p in method.moved.items():
                p.copy_(before[name])
        return value

    assert slope == pytest.approx((loss_at(1e-6) - loss_at(-1e-6)) / 2e-6, rel=1e-5)


@pytest.mark.parametrize("surrogate", ["anchor", "empty"])
def test_the_target_lies_beyond_the_surrogate(surrogate: str) -> None:
    stage = Stage("low_rank_erasure", guidance=0.5, surrogate=surrogate)
    stage.step(0)
    forget, retain = stage.batches(1)
    original = make_unet().eval()
    instead = forget.under_anchors() if surrogate == "anchor" else forget.under_empty_prompt()
    with torch.no_grad():
        conditioned, _ = predict(original, stage.process, forget)
        baseline, _ = predict(original, stage.process, instead)
        own, _ = predict(stage.denoiser, stage.process, forget)
    loss, _ = stage.method.objective(forget, retain)
    goal = 1.5 * baseline - 0.5 * conditioned
    assert loss.item() == pytest.approx((own - goal).square().mean().item())


def test_the_default_pace_leaves_the_rank_alone(process) -> None:
    denoiser, sets = make_unet(), LatentSets(make_set(6, 1, ("cat",)), make_set(12, 2, ("dog", "apple", "car")))
    start = {name: p.detach().clone() for name, p in denoiser.named_parameters()}
    how = UnlearnSettings(
        method="low_rank_erasure",
        method_options={"rank": 2},
        steps=6,
        learning_rate=1e-2,
        forget_batch_size=2,
        retain_batch_size=4,
        check_every=1,
        pace={"growth": 2, "settle_steps": 2},
    )
    shares = iter([0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0])
    trace = unlearn(denoiser, process, sets, how, hooks=Hooks(is_forgotten=lambda: next(shares), progress=False))
    assert len({row.pace for row in trace.rows}) > 1
    for name, p in denoiser.named_parameters():
        if p.dim() > 1 and not torch.equal(p, start[name]):
            values = torch.linalg.svdvals((p - start[name]).detach().flatten(1))
            assert (values[2:] <= 1e-9 * values[0]).all()


def test_a_step_that_a_safeguard_took_back_stays_taken_back() -> None:
    stage = Stage("low_rank_erasure", rank=2)
    probe = make_probe(stage.problem.sets, levels=100, seed=0)
    guard = Safeguard(probe, stage.problem, SafeguardSettings(halvings=0))
    stage.step(0)
    with torch.no_grad():
        for p, before in zip(stage.problem.parameters.values(), guard.before, strict=True):
            p.copy_(before)
    factors = {name: factor.clone() for name, factor in stage.method.factors.items()}
    stage.step(1)
    for name in stage.method.moved:
        done = stage.method.factors[f"b/{name}"] @ stage.method.factors[f"a/{name}"]
        undone = factors[f"b/{name}"] @ factors[f"a/{name}"]
        moved = (stage.denoiser.get_parameter(name) - stage.start[name]).detach().flatten(1)
        torch.testing.assert_close(moved, done - undone, rtol=1e-9, atol=1e-12)
