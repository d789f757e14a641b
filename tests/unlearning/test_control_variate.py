"""The control variate has the plain gradient's mean, none of its variance at θ₀, and little of it nearby."""

import pytest
import torch
from diffusers import DDPMScheduler
from torch import Tensor

from expunge.errors import ExpungeError
from expunge.unlearning.cache import GradientCache
from expunge.unlearning.control_variate import ControlVariate
from expunge.unlearning.data import Batch, StratifiedSampler, draw_batch, generator_of
from expunge.unlearning.loop import unlearn
from expunge.unlearning.problem import Alignment, Problem
from expunge.unlearning.settings import UnlearnSettings
from tests.unlearning.conftest import make_set, make_unet

BATCHES = 6


def make_problem(alignment: Alignment = "data") -> Problem:
    return Problem(make_unet().eval(), DDPMScheduler(num_train_timesteps=100), 1e-3, 5.0, 1.0, alignment)


def cache_of(problem: Problem, gradients: list[Tensor | None]) -> GradientCache:
    found = {n: g for n, g in zip(problem.parameters, gradients, strict=True) if g is not None}
    return GradientCache("", {}, found, {}, {}, 0.0, 0.0, 4, 1.0)


def flat(gradients: list[Tensor | None]) -> Tensor:
    return torch.cat([g.flatten() for g in gradients if g is not None])


@torch.no_grad()
def move(problem: Problem, distance: float) -> None:
    """Away from θ₀ by that share of each parameter's size, in a fixed direction."""
    generator = torch.Generator().manual_seed(0)
    for p in problem.parameters.values():
        step = torch.randn(p.shape, generator=generator, dtype=p.dtype)
        p.add_(step * distance * p.norm() / step.norm())


def both_ways(control: ControlVariate, batches: list[list[Batch]]) -> tuple[Tensor, Tensor]:
    """Plain and corrected gradient of each step's batches, ``(steps, parameters)``."""
    plain, corrected = [], []
    for step in batches:
        gradient = control.problem.retain_gradient(step)[1]
        plain.append(flat(gradient))
        corrected.append(flat(control.correct(step, [None if g is None else g.clone() for g in gradient])))
    return torch.stack(plain), torch.stack(corrected)


@pytest.fixture(scope="module")
def batches() -> list[Batch]:
    """All that can happen: the mean over these is the expectation."""
    retain = make_set(12, 2, ("dog", "apple", "car"))
    return [draw_batch(retain, (torch.arange(4) + 2 * i) % 12, 100, generator_of(3, i)) for i in range(BATCHES)]


def test_the_mean_is_that_of_the_plain_gradient_and_the_variance_falls_with_the_distance(batches) -> None:
    problem = make_problem()
    control = ControlVariate(problem, cache_of(problem, problem.retain_gradient(batches)[1]))
    left = []
    for distance in (0.0, 0.01, 0.01):  # θ₀, then one step away, then two
        move(problem, distance)
        plain, corrected = both_ways(control, [[batch] for batch in batches])
        torch.testing.assert_close(corrected.mean(0), plain.mean(0), rtol=1e-9, atol=1e-12)
        left.append((corrected.var(0).sum() / plain.var(0).sum()).item())
    assert left[0] < 1e-20  # at θ₀ only the cached gradient is left
    assert left[1] < left[2] < 0.1
    assert left[2] / left[1] == pytest.approx(4, rel=0.3)  # g(θ) − g(θ₀) is linear in the distance


def test_batches_of_several_sizes_count_by_their_pictures(batches) -> None:
    problem = make_problem()
    sized = [batches[0], draw_batch(make_set(12, 2, ("dog", "apple", "car")), torch.arange(2), 100, generator_of(9))]
    full = problem.retain_gradient(sized)[1]
    _, corrected = both_ways(ControlVariate(problem, cache_of(problem, full)), [sized])
    torch.testing.assert_close(corrected[0], flat(full), rtol=1e-9, atol=1e-12)


def test_uneven_strata_and_the_empty_prompt_leave_no_bias() -> None:
    # Strata of 1 and 3 pictures in batches of 4, one of them under the empty prompt. One noise for all, so that the
    # expectation is a finite sum: over pictures in the cache, over a whole round of the balanced order in the steps.
    retain = make_set(4, 2, ("dog",))
    retain = type(retain)(**(vars(retain) | {"strata": ["a", "b", "b", "b"]}))
    sampler = StratifiedSampler(retain.strata, 2, seed=0)

    def drawn(indices: Tensor, empty_share: float, weights: Tensor | None) -> Batch:
        batch = draw_batch(retain, indices, 100, generator_of(0), empty_share, weights)
        batch.noise[:] = batch.noise[0]
        batch.timesteps[:] = 40
        return batch

    problem = make_problem()
    one_by_one = [drawn(torch.tensor([i]), 0.0, None) for i in range(4)]
    control = ControlVariate(problem, cache_of(problem, problem.retain_gradient(one_by_one)[1]))
    move(problem, 0.01)
    # Each pair of the six that a round can hold in any order: every picture at every place as often as it is drawn.
    rounds = [torch.tensor(pair) for b in (1, 2, 3) for pair in ((0, b), (b, 0))]
    steps = [[drawn(pair, 0.5, sampler.importance(pair, empties=1))] for pair in rounds]
    plain, corrected = both_ways(control, steps)
    torch.testing.assert_close(corrected.mean(0), plain.mean(0), rtol=1e-9, atol=1e-12)
    assert not torch.allclose(corrected, plain)


def test_the_loop_counts_the_pass_and_the_guarantee_holds(scheduler, forget, retain) -> None:
    def run(control: bool):
        unet = make_unet()
        cache = cache_of(problem := make_problem(), problem.no_gradient())
        how = UnlearnSettings(
            steps=2,
            learning_rate=2e-4,
            forget_batch_size=2,
            retain_batch_size=4,
            alignment="data",
            method_options={"control_variate": control, "warm_start": "none"},
        )
        return unlearn(unet, scheduler, forget, retain, how, cache, progress=False)

    plain, controlled = run(False), run(True)
    assert [row.passes for row in plain.rows] == [2, 2]
    assert [row.passes for row in controlled.rows] == [3, 3]
    assert all(row.change_forget <= 0 and row.change_retain <= 0 for row in controlled.rows)


@pytest.mark.parametrize(
    ("alignment", "why"),
    [
        ("original", "already is a control variate.*zero for every batch; set control_variate to false"),
        ("both", "alignment 'both'.*set alignment to 'data'"),
        ("data", "no gradient cache; make one"),
    ],
)
def test_what_it_cannot_correct_is_refused(alignment: Alignment, why: str, scheduler, forget, retain) -> None:
    options = {"control_variate": True, "warm_start": "none"}
    how = UnlearnSettings(learning_rate=2e-4, alignment=alignment, method_options=options)
    with pytest.raises(ExpungeError, match=why):
        unlearn(make_unet(), scheduler, forget, retain, how, progress=False)
