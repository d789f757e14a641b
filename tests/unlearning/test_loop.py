"""The loop: resume to the bit, the measured stop, the safeguard, and what it refuses."""

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor

from expunge.errors import ExpungeError
from expunge.unlearning.batches import LatentSets
from expunge.unlearning.loop import Hooks, unlearn
from expunge.unlearning.problem import Objectives, Problem
from expunge.unlearning.safeguard import PROBE_SIZE, Probe, ProbeLosses, Safeguard, make_probe
from expunge.unlearning.trace import Trace, TraceRow
from expunge.unlearning.unlearn_settings import SafeguardSettings, UnlearnSettings
from tests.unlearning.conftest import QUIET, cached, make_set, make_unet


class Killed(Exception):
    """Ends a run in the middle."""


@pytest.fixture
def cache(denoiser, process, forget, retain):
    return cached(denoiser, process, LatentSets(forget, retain), batch_size=6)


@pytest.fixture
def problem(denoiser, process, sets) -> Problem:
    return Problem(denoiser, process, Objectives(), sets)


@pytest.fixture
def probe(sets) -> Probe:
    return make_probe(sets, levels=100, seed=0)


def settings(**changes) -> UnlearnSettings:
    plain = {"steps": 6, "learning_rate": 1e-3, "forget_batch_size": 3, "retain_batch_size": 4, "pace": None}
    return UnlearnSettings(**(plain | changes))


def without_seconds(trace: Trace) -> list[dict]:
    return [row.model_dump(exclude={"seconds"}) for row in trace.rows]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"method": "restricted_gradient"},
        {"safeguard": {"halvings": 1}, "alignment": "data", "learning_rate": 0.02},
        {"pace": {"settle_steps": 2}, "stop_at": 0.5},
        {"learning_rate": None},
    ],
)
def test_a_resumed_run_is_the_run_to_the_bit(changes: dict, process, sets, cache, tmp_path: Path) -> None:
    how = settings(checkpoint_every=1, check_every=2, **changes)

    def run(folder: Path | None, kill_after: int | None) -> tuple[Trace, dict[str, Tensor]]:
        def on_step(row: TraceRow) -> None:
            if row.step == kill_after:
                raise Killed

        denoiser = make_unet()
        hooks = Hooks(on_step, folder, is_forgotten=lambda: 0.5, progress=False)
        trace = unlearn(denoiser, process, sets, how, cache, hooks)
        return trace, denoiser.state_dict()

    straight, weights = run(None, None)
    with pytest.raises(Killed):
        run(tmp_path, 3)
    (tmp_path / "partial-rubbish").mkdir()  # a checkpoint cut off in the middle
    resumed, resumed_weights = run(tmp_path, None)
    assert without_seconds(straight) == without_seconds(resumed)
    assert straight.probe_forget_start == resumed.probe_forget_start
    assert all(torch.equal(weights[name], resumed_weights[name]) for name in weights)
    assert [p.name for p in tmp_path.iterdir()] == [f"step-{len(straight.rows):07}"]
    again, again_weights = run(tmp_path, None)  # a finished run is only read
    assert without_seconds(again) == without_seconds(straight)
    assert all(torch.equal(weights[name], again_weights[name]) for name in weights)


def test_a_checkpoint_of_another_run_is_refused(denoiser, process, forget, retain, cache, tmp_path: Path) -> None:
    def run(model, how: UnlearnSettings, forget_set=forget) -> None:
        hooks = Hooks(checkpoint_folder=tmp_path, progress=False)
        unlearn(model, process, LatentSets(forget_set, retain), how, cache, hooks)

    run(denoiser, settings(steps=1))
    with pytest.raises(ExpungeError, match="learning_rate was 0.001 and is now 0.002"):
        run(make_unet(), settings(steps=1, learning_rate=2e-3))
    with pytest.raises(ExpungeError, match="forget_set was"):
        run(make_unet(), settings(steps=1), make_set(6, 9, ("cat",)))
    with pytest.raises(ExpungeError, match="start was"):
        run(make_unet(seed=1), settings(steps=1))
    run(make_unet(), settings(steps=2))  # more steps are a continuation
    state = tmp_path / "step-0000002" / "state.json"
    state.write_text(json.dumps(json.loads(state.read_text()) | {"format_version": 99}))
    with pytest.raises(ExpungeError, match="format version 99"):
        run(make_unet(), settings(steps=2))
    weights = tmp_path / "step-0000002" / "parameters.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(ExpungeError, match="remove it to start afresh"):
        run(make_unet(), settings(steps=2))


@pytest.mark.parametrize(
    ("answers", "steps", "why"),
    [
        ([0.2, 1.0, 0.99, 1.0], 6, "forgotten"),  # checks at 2, 4 and 6: done, and it holds
        ([1.0, 0.5, 1.0, 0.5], 8, "steps"),  # never twice in a row
    ],
)
def test_the_run_ends_when_forgetting_is_done_and_holds(
    answers: list[float], steps: int, why: str, denoiser, process, sets, cache
) -> None:
    asked = iter(answers)
    trace = unlearn(
        denoiser,
        process,
        sets,
        settings(steps=8, check_every=2, stop_at=0.99),
        cache,
        Hooks(is_forgotten=lambda: next(asked), progress=False),
    )
    assert (len(trace.rows), trace.stopped) == (steps, why)
    table = trace.frame()
    assert list(table["forgotten"].dropna()) == answers[: steps // 2]
    assert table["step"].tolist() == list(range(1, steps + 1))


def test_the_safeguard_lets_no_probe_loss_rise(denoiser, process, sets) -> None:
    wild = {"method": "gradient_difference", "learning_rate": 0.05, "steps": 5, "alignment": "data"}
    free = make_unet()
    unlearn(free, process, sets, settings(**wild), hooks=QUIET)
    held = unlearn(denoiser, process, sets, settings(**wild, safeguard={"halvings": 2}), hooks=QUIET)
    after = make_probe(sets, levels=100, seed=1).measure(Problem(free, process, Objectives(), sets))
    assert after.retain > held.probe_retain_start  # the setting does harm
    forget_losses = [held.probe_forget_start, *(row.probe_forget for row in held.rows)]
    retain_losses = [held.probe_retain_start, *(row.probe_retain for row in held.rows)]
    for losses in (forget_losses, retain_losses):
        assert all(after <= before for before, after in zip(losses, losses[1:], strict=False))
    assert {row.step_share for row in held.rows} <= {0.0, 0.25, 0.5, 1.0}
    assert any(row.step_share < 1 for row in held.rows)


def test_a_refused_step_restores_the_parameters_exactly(denoiser, problem, probe) -> None:
    guard = Safeguard(probe, problem, SafeguardSettings(halvings=1))
    before, last = {name: p.detach().clone() for name, p in denoiser.named_parameters()}, guard.last
    with torch.no_grad():
        for p in denoiser.parameters():
            p.add_(float("nan"))
    assert guard.settle() == 0 and guard.last == last == guard.start
    assert all(torch.equal(before[name], p) for name, p in denoiser.named_parameters())
    assert guard.settle() == 1 and guard.last == last  # nothing has moved: nothing rises


def test_a_step_too_long_is_halved(denoiser, problem, probe) -> None:
    guard = Safeguard(probe, problem, SafeguardSettings(halvings=2))
    bias, start = denoiser.conv_out.bias, denoiser.conv_out.bias.detach().clone()
    with torch.no_grad():
        bias.add_(0.8)
    full = probe.measure(problem)
    with torch.no_grad():
        bias.copy_(start + 0.2)
    quarter = probe.measure(problem)
    with torch.no_grad():
        bias.copy_(start + 0.8)
    assert quarter.retain < full.retain
    between = ProbeLosses(forget=1.0, retain=(quarter.retain + probe.measure(problem).retain) / 2)
    with torch.no_grad():
        bias.copy_(start + 0.4)
    half = probe.measure(problem)
    with torch.no_grad():
        bias.copy_(start + 0.8)
    guard.last = between
    share, losses = guard.settle(), guard.last
    assert share == (0.5 if half.retain <= between.retain else 0.25)
    torch.testing.assert_close(bias.detach(), start + 0.8 * share)
    assert losses.retain <= between.retain


def test_the_probe_measures_the_same_twice(problem, sets) -> None:
    losses = [make_probe(sets, levels=100, seed=seed).measure(problem) for seed in (0, 0, 1)]
    assert losses[0] == losses[1] != losses[2]


def test_the_probe_is_of_training_pictures_spread_over_the_set(process, retain) -> None:
    sets = LatentSets(make_set(70, 1, ("cat",)), retain)
    probe = make_probe(sets, levels=100, seed=0)
    indices = probe.forget.indices
    assert len(indices) == PROBE_SIZE and indices[0] == 0 and indices[-1] == 69
    assert torch.equal(probe.retain.latents, retain.latents)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "two checks in a row, 10 steps apart, that find at least 99.0% of the target forgotten"),
        ({"pace": {"settle_steps": 7}}, "a forget loss that has gone 0.9 of its way, then 7 shrinking steps"),
        (
            {"pace": {"settle_steps": 7}, "forget": {"truncated": 1.0}},
            "or goes no further, then 7 shrinking steps, and a check after them",
        ),
    ],
)
def test_the_stopping_rule_is_put_into_words(changes: dict, words: str) -> None:
    assert words in settings(**changes).stopping_rule


def test_alignment_with_the_original_begins_at_zero(denoiser, process, sets) -> None:
    how = settings(steps=2, alignment="original", method_options={"warm_start": False})
    trace = unlearn(denoiser, process, sets, how, hooks=QUIET)
    assert trace.rows[0].retain_loss == 0 and trace.rows[0].cosine == 0
    assert trace.rows[1].retain_loss > 0


def test_frozen_parameters_and_the_mode_stay(denoiser, process, sets) -> None:
    denoiser.conv_in.requires_grad_(False)
    denoiser.train()
    frozen, free = denoiser.conv_in.weight.clone(), denoiser.conv_out.weight.clone()
    how = settings(steps=1, method_options={"warm_start": False})
    unlearn(denoiser, process, sets, how, hooks=QUIET)
    assert torch.equal(denoiser.conv_in.weight, frozen) and not torch.equal(denoiser.conv_out.weight, free)
    assert denoiser.training and all(p.grad is None for p in denoiser.parameters())


def test_a_gradient_that_is_not_finite_names_the_step(denoiser, process, sets) -> None:
    sets.forget.latents[:] = float("nan")
    how = settings(method_options={"warm_start": False})
    before = denoiser.conv_out.weight.clone()
    with pytest.raises(ExpungeError, match="step 1: forget gradient of"):
        unlearn(denoiser, process, sets, how, hooks=QUIET)
    assert torch.equal(denoiser.conv_out.weight, before)
