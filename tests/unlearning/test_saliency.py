"""Which entries are salient, and that nothing else moves, by any method."""

from dataclasses import replace

import pytest
import torch
from pydantic import ValidationError

from expunge.errors import ExpungeError
from expunge.models.trained_part import TrainedSettings
from expunge.unlearning.loop import Hooks, unlearn
from expunge.unlearning.methods import method_names
from expunge.unlearning.saliency import salient_entries
from expunge.unlearning.unlearn_settings import UnlearnSettings
from tests.unlearning.conftest import QUIET, cached, make_unet
from tests.unlearning.methods.stage import Stage, make_cache

SHARE = 0.5


def test_masks_hold_the_largest_gradients_over_all_tensors() -> None:
    gradients = {"a": torch.tensor([1.0, -6.0, 3.0]), "b": torch.tensor([[2.0, -5.0, 4.0]])}
    masks = salient_entries(gradients, ["a", "absent", "b"], 0.5)
    assert masks.keys() == gradients.keys()
    assert masks["a"].tolist() == [False, True, False] and masks["b"].tolist() == [[False, True, True]]
    assert all(mask.all() for mask in salient_entries(gradients, ["a", "b"], 1.0).values())
    assert sum(int(mask.sum()) for mask in salient_entries(gradients, ["a", "b"], 1e-6).values()) == 1


@pytest.mark.parametrize("method", method_names())
def test_entries_outside_are_the_same_bits(method: str) -> None:
    stage = Stage(method, saliency=SHARE)
    sizes = torch.cat([each.abs().flatten() for each in make_cache().forget.values()])
    threshold = sizes.sort(descending=True).values[round(SHARE * len(sizes)) - 1]
    for number in range(2):
        stage.step(number)
    changed = total = 0
    for name, p in stage.denoiser.named_parameters():
        salient = make_cache().forget[name].abs() >= threshold
        assert torch.equal(p[~salient], stage.start[name][~salient]), name
        changed += int((p != stage.start[name]).sum())
        total += p.numel()
    assert 0 < changed <= 1.02 * SHARE * total
    if method in ("stepping_metric", "restricted_gradient", "saliency_unlearning"):  # these move all they may
        assert changed == pytest.approx(SHARE * total, rel=0.02)


def test_the_guarantee_holds_in_the_subspace_and_a_resumed_run_is_the_same(sets, process, tmp_path) -> None:
    """First-order changes are those of the step that was taken, with the full gradients of the same batches."""
    settings = UnlearnSettings(
        trained=TrainedSettings(saliency=SHARE), steps=4, checkpoint_every=2, pace=None, learning_rate=None,
        alignment="data", forget={"truncated": 1.0}, forget_batch_size=4, retain_batch_size=5,
        method_options={"momentum": 0.0},
    )  # fmt: skip
    whole, halted = make_unet(), make_unet()
    cache = cached(make_unet(), process, sets, batch_size=6)
    trace = unlearn(whole, process, sets, settings, cache, QUIET)
    assert any(row.conflict for row in trace.rows)
    for row in trace.rows:
        assert row.change_forget <= 0 and row.change_retain <= 0
        assert row.change_forget == pytest.approx(row.averaged_change_forget, rel=1e-9)
    hooks = Hooks(checkpoint_folder=tmp_path, progress=False)
    unlearn(halted, process, sets, settings.model_copy(update={"steps": 2}), cache, hooks)
    resumed = make_unet()
    unlearn(resumed, process, sets, settings, cache, hooks)
    assert all(torch.equal(a, b) for a, b in zip(resumed.parameters(), whole.parameters(), strict=True))
    start = make_unet().state_dict()
    moved = sum(int((p != start[name]).sum()) for name, p in whole.named_parameters())
    assert moved == pytest.approx(SHARE * sum(p.numel() for p in whole.parameters()), rel=0.02)


def test_a_parameter_without_a_forget_gradient_stays_whole() -> None:
    stage, cache = Stage("gradient_ascent"), make_cache()
    name, other = list(stage.start)[:2]
    inner = stage.problem.within({other: cache.forget[other].abs() > 0})
    assert not inner.masked(name, torch.ones_like(stage.start[name])).any()
    assert torch.equal(stage.problem.masked(name, stage.start[name]), stage.start[name])


def test_what_has_no_salient_entries_is_refused_in_a_line(sets, process) -> None:
    with pytest.raises(ValidationError, match="saliency: an adapter has none of the model's weights; drop it"):
        TrainedSettings(what="lora", saliency=0.5)
    with pytest.raises(ValidationError, match="trained: saliency_unlearning moves salient weights, which an adapter"):
        UnlearnSettings(method="saliency_unlearning", trained=TrainedSettings(what="lora"))
    settings = UnlearnSettings(trained=TrainedSettings(saliency=0.5), learning_rate=1e-3)
    assert settings.uses_cache and settings.forgetting().trained == TrainedSettings()
    cache = cached(make_unet(), process, sets, batch_size=6)
    for missing in (None, replace(cache, forget={})):
        with pytest.raises(ExpungeError, match="saliency: needs the forget gradients of a gradient cache; make one"):
            unlearn(make_unet(), process, sets, settings, missing, QUIET)
