"""Draws by drift: in proportion to it, balanced without it, a function of seed, number and history."""

from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from expunge.models.diffusion import DiffusionProcess
from expunge.unlearning.batches import draw_batch, generator_of
from expunge.unlearning.gradient_cache import cache_gradients
from expunge.unlearning.loop import unlearn
from expunge.unlearning.methods import method_names
from expunge.unlearning.problem import Problem
from expunge.unlearning.resampling import DriftSampler, ResamplingSettings
from expunge.unlearning.unlearn_settings import UnlearnSettings
from tests.unlearning.conftest import make_set, make_unet

STRATA = ["a"] * 2 + ["b"] * 3 + ["c"] * 5


def sampler(share: float = 0.5, decay: float = 0.9, batch_size: int = 20, seed: int = 0) -> DriftSampler:
    return DriftSampler(STRATA, batch_size, seed, ResamplingSettings(share=share, decay=decay))


def observe(drift: DriftSampler, **losses: float) -> None:
    """One picture of each named stratum at that loss."""
    drift.observe(
        torch.tensor([STRATA.index(name) for name in losses]), torch.tensor(list(losses.values()), dtype=torch.float64)
    )


@given(
    st.lists(st.floats(0, 1e3), min_size=3, max_size=3).filter(any),
    st.integers(0, 2**32),
    st.integers(0, 1000),
)
@settings(max_examples=60, deadline=None)
def test_each_stratum_gets_its_share_of_the_drift_give_or_take_one(losses: list[float], seed: int, number: int) -> None:
    drift = sampler(seed=seed)
    observe(drift, **dict(zip("abc", losses, strict=True)))
    drawn = drift.batch(number)
    assert torch.equal(drawn[:10], drift.balanced.batch(number))  # one half keeps the balanced order
    counts = Counter(STRATA[i] for i in drawn[10:].tolist())
    for name, loss in zip("abc", losses, strict=True):
        assert abs(counts[name] - 10 * loss / sum(losses)) < 1 + 1e-6


def test_on_average_draws_are_in_proportion_to_drift_and_even_within_a_stratum() -> None:
    drift = sampler(share=0.3)
    observe(drift, a=0.1, b=0.3, c=0.6)
    numbers = 3000
    counts = torch.bincount(torch.cat([drift.batch(n)[14:] for n in range(numbers)]), minlength=10) / (6 * numbers)
    want = torch.tensor([0.1 / 2] * 2 + [0.3 / 3] * 3 + [0.6 / 5] * 5)
    torch.testing.assert_close(counts, want, rtol=0.05, atol=0)


def test_without_drift_all_strata_count_alike_and_one_not_seen_counts_as_the_mean() -> None:
    drift = sampler()
    assert drift.shares().tolist() == pytest.approx([1 / 3] * 3)
    drift.observe(torch.tensor([0, 5]), torch.zeros(2))  # the original against itself: no measurement
    assert drift.weights.count_nonzero() == 0
    observe(drift, a=1.0, b=3.0)
    assert drift.shares().tolist() == pytest.approx([1 / 6, 3 / 6, 2 / 6])


def test_drift_is_the_fading_mean_of_losses() -> None:
    drift = sampler(decay=0.5)
    observe(drift, a=1.0, b=1.0, c=1.0)
    observe(drift, a=4.0, b=1.0)
    # a: (½·1 + 4)/(½ + 1) = 3; what is not seen fades in weight, not in value.
    assert (drift.losses / drift.weights).tolist() == pytest.approx([3.0, 1.0, 1.0])
    assert drift.shares().tolist() == pytest.approx([0.6, 0.2, 0.2])


def test_draws_depend_on_seed_number_and_history_alone() -> None:
    one, other = sampler(), sampler()
    for n in range(5):
        one.batch(n)
    observe(one, a=1.0, c=2.0)
    assert not torch.equal(one.batch(5), other.batch(5))
    other.load_state_dict(one.state_dict())
    assert torch.equal(one.batch(5), other.batch(5))
    assert not torch.equal(one.batch(5), one.batch(6))
    third = sampler(seed=1)
    third.load_state_dict(one.state_dict())
    assert not torch.equal(one.batch(5), third.batch(5))


@pytest.mark.parametrize("alignment", ["data", "original", "both"])
def test_the_problem_reports_each_pictures_retain_loss(alignment: str, denoiser, process, retain) -> None:
    problem = Problem(denoiser, process, 1e-3, 5.0, 1.0, alignment)
    seen = []
    problem.on_retain = lambda batch, losses: seen.append((batch.indices, losses))
    batch = draw_batch(retain, torch.tensor([3, 1, 7]), 100, generator_of(0))
    loss = problem.retain_loss(batch)
    ((indices, losses),) = seen
    assert indices.tolist() == [3, 1, 7] and losses.shape == (3,) and not losses.requires_grad
    if alignment == "data":
        assert losses.mean().item() == pytest.approx(loss.item(), rel=1e-12)
    else:
        assert losses.count_nonzero() == 0  # at θ₀ the distance is zero, whatever else the loss holds


@pytest.mark.parametrize("method", method_names())
def test_every_method_can_be_resampled(method: str, process: DiffusionProcess) -> None:
    denoiser, forget, retain = make_unet(), make_set(6, 1, ("cat",)), make_set(12, 2, ("dog", "apple", "car"))
    cache = cache_gradients(denoiser, process, forget, retain, model_hash="", seed=0, batch_size=6, progress=False)
    how = UnlearnSettings(
        method=method,
        steps=2,
        forget_batch_size=2,
        retain_batch_size=4,
        learning_rate=1e-3,
        resampling=ResamplingSettings(),
    )
    trace = unlearn(denoiser, process, forget, retain, how, cache, progress=False)
    assert len(trace.rows) == 2


def test_a_share_that_leaves_a_part_without_pictures_is_refused() -> None:
    with pytest.raises(ValidationError, match="a share of 0.1 of a retain batch of 4 leaves no picture"):
        UnlearnSettings(retain_batch_size=4, resampling={"share": 0.1})
    with pytest.raises(ValidationError, match="raise retain_batch_size"):
        UnlearnSettings(retain_batch_size=1, resampling={})
    with pytest.raises(ValidationError, match="unknown key 'speed'"):
        UnlearnSettings(resampling={"speed": 1})
