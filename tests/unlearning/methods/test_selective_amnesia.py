"""Selective amnesia: the elastic penalty, the Fisher information, and the surrogate."""

from dataclasses import replace

import pytest
import torch

from expunge.errors import ExpungeError
from expunge.unlearning.batches import denoising_error
from expunge.unlearning.methods.selective_amnesia import elastic_penalty, fisher_information
from tests.unlearning.methods.stage import Stage, make_cache


def test_the_penalty_is_the_quadratic_form() -> None:
    start = {"a": torch.tensor([1.0, 2.0]), "b": torch.tensor([0.0])}
    now = {"a": torch.tensor([2.0, 0.0]), "b": torch.tensor([9.0])}
    fisher = {"a": torch.tensor([3.0, 0.5])}  # b is free
    assert elastic_penalty(now, start, fisher).item() == pytest.approx((3 * 1 + 0.5 * 4) / 2)


def test_at_the_start_the_penalty_and_its_gradient_are_zero() -> None:
    strict, free = (Stage("selective_amnesia", elastic_weight=weight) for weight in (1e9, 0.0))
    gradients = []
    for stage in (strict, free):
        loss, error = stage.method.objective(*stage.batches())
        assert error is None
        gradients.append(torch.autograd.grad(loss, list(stage.problem.parameters.values()), allow_unused=True))
    for held, loose in zip(*gradients, strict=True):
        assert torch.equal(held, loose)


def test_a_stronger_penalty_keeps_the_weights_nearer() -> None:
    def distance(weight: float) -> float:
        stage = Stage("selective_amnesia", elastic_weight=weight)
        for number in range(8):
            stage.step(number)
        fisher = fisher_information(make_cache())
        with torch.no_grad():
            return elastic_penalty(stage.problem.parameters, stage.start, fisher).item()

    assert distance(1e8) < distance(0.0)


def test_fisher_information_is_the_mean_square_of_single_gradients() -> None:
    generator = torch.Generator().manual_seed(0)
    single = 0.3 + 2 * torch.randn(40_000, 8, 5, generator=generator, dtype=torch.float64)
    batched = single.mean(dim=1)  # batches of 8
    cache = replace(
        make_cache(),
        retain={"w": batched.mean(dim=0)},
        retain_second={"w": batched.square().mean(dim=0)},
        batch_size=8,
    )
    torch.testing.assert_close(fisher_information(cache)["w"], single.square().mean(dim=(0, 1)), rtol=0.03, atol=0)
    alone = replace(cache, batch_size=1)
    torch.testing.assert_close(fisher_information(alone)["w"], cache.retain_second["w"])


def test_the_surrogate_is_learnt_under_the_forget_prompts() -> None:
    stage = Stage("selective_amnesia", elastic_weight=0.0)
    forget, retain = stage.batches()
    loss, _ = stage.method.objective(forget, retain)
    expected = denoising_error(stage.denoiser, stage.process, replace(forget, latents=retain[0].latents[:4])).mean()
    assert loss.item() == pytest.approx(expected.item())
    noisy = Stage("selective_amnesia", surrogate="noise")
    latents = noisy.method._surrogate(forget, retain)
    assert latents.abs().max() <= 3**0.5 and abs(latents.var().item() - 1) < 0.1
    noisy.step(0)
    assert not torch.equal(noisy.method._surrogate(forget, retain), latents)


def test_without_a_cache_it_says_what_to_do() -> None:
    with pytest.raises(ExpungeError, match="needs the retain gradients of a gradient cache; make one"):
        Stage("selective_amnesia", cached=False)
