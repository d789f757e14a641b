"""What every registered method must do, whatever its mathematics."""

from collections.abc import Iterator

import pytest
import torch
from diffusers import UNet2DConditionModel
from pydantic import ValidationError
from safetensors.torch import load, save
from torch.nn.modules.module import register_module_forward_hook

from expunge.unlearning.methods import method_names
from expunge.unlearning.unlearn_settings import UnlearnSettings
from tests.unlearning.conftest import make_unet
from tests.unlearning.methods.stage import Stage

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
    for alignment, steps in (("data", 2), ("both", 1)):
        stage = Stage(name, alignment=alignment)
        for number in range(steps):
            passes.clear()
            assert stage.step(number).passes == pytest.approx(sum(passes))


@every_method
def test_reported_changes_are_those_of_the_plain_losses_or_none(name: str) -> None:
    stage = Stage(name)
    forget, retain = stage.batches()
    gradients = {
        "change_forget": stage.problem.forget_gradient([forget])[1],
        "change_retain": stage.problem.retain_gradient(retain)[1] if retain else [],
    }
    report = stage.method.step(forget, retain).report
    if name == "stepping_metric":
        return  # its changes are those of the averaged losses; tests/unlearning/test_optimiser.py has them
    step = [(p - stage.start[key]) / 1e-3 for key, p in stage.denoiser.named_parameters()]
    for side, gradient in gradients.items():
        if (change := getattr(report, side)) is not None:
            assert change == pytest.approx(sum((g * s).sum().item() for g, s in zip(gradient, step, strict=True)))


@every_method
def test_reported_losses_are_those_of_the_plain_objectives_before_the_step(name: str) -> None:
    stage = Stage(name)
    forget, retain = stage.batches()
    with torch.no_grad():
        forget_loss = stage.problem.forget_loss(forget).item()
        retain_losses = [stage.problem.retain_loss(batch).item() for batch in retain]  # batches of one size
    done = stage.method.step(forget, retain)
    assert done.forget_loss in (None, pytest.approx(forget_loss))
    assert done.retain_loss == (pytest.approx(sum(retain_losses) / len(retain_losses)) if retain else None)


@every_method
def test_unknown_options_are_refused_before_any_work(name: str) -> None:
    with pytest.raises(ValidationError, match="speed"):
        UnlearnSettings(method=name, method_options={"speed": 11})
