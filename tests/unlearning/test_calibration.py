"""The measured learning rate: where the forget loss reaches its tenth of the way, found without moving the model."""

import pytest
import torch

from expunge.errors import ExpungeError
from expunge.unlearning.calibration import SHARE, STEPS, Calibration, calibrate
from expunge.unlearning.forget.truncated import Truncated
from expunge.unlearning.gradient_cache import GradientCache
from expunge.unlearning.loop import unlearn
from expunge.unlearning.problem import Objectives, Problem
from expunge.unlearning.unlearn_settings import UnlearnSettings
from tests.unlearning.conftest import QUIET, cached, make_unet

TRUNCATED = {"truncated": 1.0}
THRESHOLD = 4.0  # of random weights, whose errors are about 1 from the start


def problem_of(denoiser, process, sets, threshold: float = THRESHOLD) -> Problem:
    return Problem(denoiser, process, Objectives(5.0, threshold, "original"), sets)


def measured(denoiser, process, sets) -> Calibration:
    cache = cached(denoiser, process, sets, THRESHOLD)
    return calibrate(problem_of(denoiser, process, sets), cache, 16, 16, seed=0)


def test_at_the_found_length_the_loss_has_gone_its_tenth(denoiser, process, sets) -> None:
    found = measured(denoiser, process, sets)
    goal = found.forget_losses[0] - Truncated.way * (THRESHOLD + found.forget_losses[0])
    assert found.learning_rate < found.limit  # else it would be the limit
    length = found.learning_rate * STEPS
    beside = [i for i, each in enumerate(found.lengths) if each >= length][0]
    assert found.lengths[0] == 0 and list(found.lengths) == sorted(set(found.lengths))
    assert found.lengths[beside - 1] <= length <= found.lengths[beside]
    assert found.forget_losses[beside - 1] > goal >= found.forget_losses[beside]
    assert found.passes == pytest.approx(len(found.lengths) / 3 + 1 + (len(found.retain_lengths) - 1) / 3)


def test_up_to_the_limit_a_step_along_a_retain_gradient_lowers_its_loss(denoiser, process, sets) -> None:
    found = measured(denoiser, process, sets)
    by_length = dict(zip(found.retain_lengths, found.retain_losses, strict=True))
    assert found.limit in by_length and found.retain_lengths[0] == 0
    assert all((loss <= by_length[0]) == (length <= found.limit) for length, loss in by_length.items())
    assert found.retain_lengths[-1] > found.limit, "the first length beyond the limit was looked at"


def test_a_rate_beyond_the_limit_is_cut_to_it(denoiser, process, sets) -> None:
    """A forget gradient a thousand times as small asks for a rate a thousand times as large."""
    cache = cached(denoiser, process, sets, THRESHOLD)
    faint = _with(cache, forget={name: t / 1e3 for name, t in cache.forget.items()})
    found = calibrate(problem_of(denoiser, process, sets), faint, 16, 16, 0)
    assert found.learning_rate == found.limit < found.lengths[-1] / STEPS
    assert found.retain_losses[found.retain_lengths.index(found.limit)] <= found.retain_losses[0]


def test_a_loss_with_a_goal_steps_half_as_far_as_the_retain_loss_lets(denoiser, process, sets) -> None:
    objectives = Objectives(5.0, 1.0, "original", {"anchor": 1.0})
    cache = cached(denoiser, process, sets, THRESHOLD)
    found = calibrate(Problem(denoiser, process, objectives, sets), cache, 16, 16, 0)
    assert found.learning_rate == SHARE * found.limit and found.lengths == (0.0,)
    assert found.retain_losses[found.retain_lengths.index(found.limit)] <= found.retain_losses[0]


def test_without_the_sets_it_cannot_be_measured(denoiser, process, sets) -> None:
    cache, problem = cached(denoiser, process, sets, THRESHOLD), problem_of(denoiser, process, sets)
    problem.known_sets = None
    with pytest.raises(ExpungeError, match="sets: what is to be"):
        calibrate(problem, cache, 16, 16, 0)


def test_the_denoiser_stays_at_the_start_to_the_bit(denoiser, process, sets) -> None:
    before = {name: p.detach().clone() for name, p in denoiser.named_parameters()}
    measured(denoiser, process, sets)
    assert all(torch.equal(p, before[name]) for name, p in denoiser.named_parameters())
    assert all(p.grad is None for p in denoiser.parameters())


def test_it_depends_on_the_seed_alone(denoiser, process, sets) -> None:
    assert measured(denoiser, process, sets) == measured(make_unet(0), process, sets)


def test_the_rate_of_a_metric_twice_as_steep_is_half(denoiser, process, sets) -> None:
    """P⁻¹ g_f twice as long needs half the length."""
    cache = cached(denoiser, process, sets, THRESHOLD)
    problem = problem_of(denoiser, process, sets)
    quarter = {kind: {n: t / 4 for n, t in getattr(cache, kind).items()} for kind in ("forget_second", "retain_second")}
    once, twice = (calibrate(problem, each, 16, 16, 0).learning_rate for each in (cache, _with(cache, **quarter)))
    assert twice == pytest.approx(once / 2, rel=0.02)


def test_what_is_forgotten_already_is_said(denoiser, process, sets) -> None:
    cache = cached(denoiser, process, sets, THRESHOLD)
    with pytest.raises(ExpungeError, match="forget_threshold"):
        calibrate(problem_of(denoiser, process, sets, threshold=1e-6), cache, 16, 16, 0)


def test_a_loss_that_does_not_move_is_said(denoiser, process, sets) -> None:
    cache = cached(denoiser, process, sets, THRESHOLD)
    still = _with(cache, forget={name: torch.zeros_like(t) for name, t in cache.forget.items()})
    with pytest.raises(ExpungeError, match="learning_rate: cannot be measured"):
        calibrate(problem_of(denoiser, process, sets), still, 16, 16, 0)


def test_a_run_without_a_rate_measures_it_and_says_so(denoiser, process, sets) -> None:
    how = UnlearnSettings(
        forget=TRUNCATED, forget_threshold=THRESHOLD, steps=2, forget_batch_size=4, retain_batch_size=4
    )
    cache = cached(denoiser, process, sets, THRESHOLD)
    trace = unlearn(denoiser, process, sets, how, cache, hooks=QUIET)
    assert trace.calibration is not None and trace.rows[0].learning_rate == trace.calibration.learning_rate > 0
    first, second = (row.passes for row in trace.rows)
    assert first == pytest.approx(second + trace.calibration.passes)


def test_a_run_with_a_rate_measures_none(denoiser, process, sets) -> None:
    how = UnlearnSettings(forget=TRUNCATED, learning_rate=1e-4, steps=1, forget_batch_size=4, retain_batch_size=4)
    trace = unlearn(denoiser, process, sets, how, cached(denoiser, process, sets, THRESHOLD), hooks=QUIET)
    assert trace.rows[0].learning_rate == 1e-4 and trace.calibration is None


def test_without_a_cache_the_field_is_named(denoiser, process, sets) -> None:
    how = UnlearnSettings(method="restricted_gradient", steps=1)
    with pytest.raises(ExpungeError, match="learning_rate is null"):
        unlearn(denoiser, process, sets, how, hooks=QUIET)


def _with(cache: GradientCache, **changed) -> GradientCache:
    return GradientCache(**{**cache.__dict__, **changed})
