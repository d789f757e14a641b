"""What every registered method must do, whatever its mathematics."""

from collections.abc import Iterator

import pytest
import torch
from diffusers import UNet2DConditionModel
from pydantic import ValidationError
from safetensors.torch import load, save
from torch.nn.modules.module import register_module_forward_hook

from expunge.unlearning.methods import StepSize, get_method, method_names
from expunge.unlearning.methods.closed_form import ClosedForm
from expunge.unlearning.unlearn_settings import UnlearnSettings
from tests.unlearning.conftest import make_unet
from tests.unlearning.methods.stage import SIZE, Stage

every_method = pytest.mark.parametrize("name", method_names())


@pytest.fixture
def passes() -> Iterator[list[float]]:
    """Grows by 1 with every forward pass of a denoiser that keeps a graph, by a third with every other."""
    seen: list[float] = []

    def note(module, given, result) -> None:
        if isinstance(module, UNet2DConditionModel):
            seen.append(1.0 if torch.is_grad_enabled() and result[0].requires_grad else 1 / 3)

    hook = register_module_forward_hook(note)
    yield seen
    hook.remove()


@every_method
def test_two_steps_change_parameters_and_keep_them_finite(name: str) -> None:
    stage = Stage(name)
    for number in range(2):
        stage.step(number)
    assert stage.moved()
    assert all(p.isfinite().all() and p.grad is None for p in stage.denoiser.parameters())


@every_method
def test_a_resumed_method_takes_the_same_steps_to_the_bit(name: str) -> None:
    straight, resumed = Stage(name), Stage(name)
    straight.step(0)
    straight.step(1)
    kept = load(save({key: t.detach().contiguous() for key, t in straight.method.state_dict().items()}))
    resumed.denoiser.load_state_dict(straight.denoiser.state_dict())
    resumed.method.load_state_dict(kept)
    assert resumed.step(2) == straight.step(2)
    weights = resumed.denoiser.state_dict()
    assert all(torch.equal(weights[key], t) for key, t in straight.denoiser.state_dict().items())


@every_method
def test_frozen_parameters_stay(name: str) -> None:
    denoiser = make_unet()
    for frozen in (denoiser.conv_in, denoiser.mid_block):
        frozen.requires_grad_(False)
    stage = Stage(name, denoiser)
    stage.step(0)
    stage.step(1)
    assert stage.moved() and stage.moved() <= set(stage.problem.parameters)


@every_method
def test_reported_passes_are_those_that_were_made(name: str, passes: list[float]) -> None:
    for alignment, steps in (("data", 2), ("original", 1)):
        stage = Stage(name, alignment=alignment)
        for number in range(steps):
            passes.clear()
            assert stage.step(number).passes == pytest.approx(sum(passes))


@every_method
def test_reported_changes_are_those_of_the_plain_losses_or_none(name: str) -> None:
    """Of this batch's losses, along the step that was taken, with momentum too: what the table compares."""
    stage, size = Stage(name), StepSize(1e-5)  # so short that factors' second order is below the tolerance
    for number in range(2):
        forget, retain = stage.batches(number)
        before = {key: p.detach().clone() for key, p in stage.denoiser.named_parameters()}
        gradients = {
            "change_forget": stage.problem.forget_gradient([forget])[1],
            "change_retain": stage.problem.retain_gradient(retain)[1] if retain else None,
        }
        report = stage.method.step(forget, retain, size).report
        step = [(p - before[key]) / size.learning_rate for key, p in stage.denoiser.named_parameters()]
        for side, gradient in gradients.items():
            if gradient is not None and (change := getattr(report, side)) is not None:
                along = sum((g * s).sum().item() for g, s in zip(gradient, step, strict=True))
                assert change == pytest.approx(along, rel=1e-3 if name == "low_rank_erasure" else 1e-6)


@every_method
def test_a_step_is_as_long_as_the_learning_rate_says(name: str) -> None:
    lengths = []
    for rate in (1e-6, 2e-6):
        stage = Stage(name)
        stage.step(0, StepSize(rate))
        moved = [(p - stage.start[key]).square().sum().item() for key, p in stage.denoiser.named_parameters()]
        lengths.append(sum(moved) ** 0.5)
    assert lengths[1] / lengths[0] == pytest.approx(1 if issubclass(get_method(name), ClosedForm) else 2, rel=1e-3)


@pytest.mark.parametrize("name", ["stepping_metric"])
def test_averaged_changes_are_those_that_never_rise(name: str) -> None:
    stage = Stage(name)
    for number in range(3):
        report = stage.step(number).report
        assert report.averaged_change_forget <= 0 and report.averaged_change_retain <= 0


@every_method
def test_reported_losses_are_those_of_the_plain_objectives_before_the_step(name: str) -> None:
    stage = Stage(name)
    forget, retain = stage.batches()
    with torch.no_grad():
        forget_loss = stage.problem.forget_loss(forget).item()
        retain_losses = [stage.problem.retain_loss(batch).item() for batch in retain]  # batches of one size
    done = stage.method.step(forget, retain, SIZE)
    assert done.forget_loss in (None, pytest.approx(forget_loss))
    assert done.retain_loss == (pytest.approx(sum(retain_losses) / len(retain_losses)) if retain else None)


@every_method
def test_unknown_options_are_refused_before_any_work(name: str) -> None:
    with pytest.raises(ValidationError, match="speed"):
        UnlearnSettings(method=name, method_options={"speed": 11})
