"""Two processes make the step that one makes; what goes wrong in one of them ends both, with a line."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml

from expunge.case import Case, name_case
from expunge.errors import ExpungeError
from expunge.models.hardware import HardwareSettings
from expunge.models.text_to_image import TextToImage
from expunge.pictures.drawing import DrawingSettings, draw_over_world
from expunge.unlearning.diversification import diversify
from expunge.unlearning.gradient_cache import GradientCache
from expunge.unlearning.launch import gradients_of, unlearned_by
from expunge.unlearning.loop import Hooks
from expunge.unlearning.training_sets import TrainingSets
from expunge.unlearning.unlearn_settings import (
    CheckSettings,
    DiversificationSettings,
    GradientSettings,
    UnlearnSettings,
)
from tests.steps.test_entrypoints import WORLD
from tests.tiny_clip import make_tiny_clip

CHECK = CheckSettings(pictures=3, steps=1)
SETTINGS = UnlearnSettings(
    steps=3, learning_rate=1e-3, pace=None, forget_batch_size=3, retain_batch_size=4, check_every=2, checkpoint_every=1
)
SHARDED = {"processes": 2, "sharded": True}


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    folder = tmp_path_factory.mktemp("case")
    (folder / "world.yaml").write_text(yaml.safe_dump(WORLD, sort_keys=False), encoding="utf-8")
    judges, drawing = f"local-dir:{make_tiny_clip(folder / 'clip')}", DrawingSettings(steps=1, guidance=1)
    return name_case(["object:cat"], str(folder / "world.yaml"), judges, drawing)


@pytest.fixture(scope="module")
def sets(tiny_model: TextToImage, case: Case) -> TrainingSets:
    """With a first model, which the tiny one was made from."""
    pool = draw_over_world(tiny_model, case.world, "train", 1, 0, case.drawing)
    made = diversify(tiny_model, pool, case, DiversificationSettings(pool_per_stratum=1, forget_size=6, paired_size=3))
    first = tiny_model.with_own_denoiser()
    with torch.no_grad():
        first.denoiser.conv_out.weight.mul_(1.1)
    return TrainingSets(made.forget, made.retain, first=first)


def by(case: Case, **hardware) -> Case:
    return case.model_copy(update=HardwareSettings(device="cpu", **hardware).model_dump())


def gradients(model: TextToImage, sets, case: Case, settings: UnlearnSettings) -> GradientCache:
    return gradients_of(model, sets, case, GradientSettings(batch_size=5), settings.forgetting())


def run(model, sets, cache, case: Case, settings: UnlearnSettings, hooks=Hooks(progress=False)):  # noqa: B008
    return unlearned_by(model, replace(sets, cache=cache), case, settings, CHECK, hooks)


def how_far(model: TextToImage, base: TextToImage) -> torch.Tensor:
    """Where a model is, seen from its base, as one vector."""
    start = dict(base.denoiser.named_parameters())
    return torch.cat([(p - start[name]).double().flatten() for name, p in model.denoiser.named_parameters()]).detach()


def test_the_job_is_the_same_in_two_processes_and_goes_on_where_it_was_cut_off(
    tiny_model: TextToImage, sets, case: Case, tmp_path: Path, monkeypatch
) -> None:
    """What the processes compute is compared in ``test_ranks``; here it is what they are told and what comes back."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    digest, sharded = tiny_model.digest(), by(case, **SHARDED)
    cache, cache_2 = (gradients(tiny_model, sets, each, SETTINGS) for each in (by(case), sharded))
    assert cache_2.key == cache.key and cache_2.forget.keys() == cache.forget.keys()
    for name, each in cache.retain.items():
        torch.testing.assert_close(cache_2.retain[name], each, rtol=1e-3, atol=1e-5 * each.abs().max().item())
    model, trace = run(tiny_model, sets, cache, by(case), SETTINGS)
    hooks = Hooks(checkpoint_folder=tmp_path, progress=False)
    run(tiny_model, sets, cache, sharded, SETTINGS.model_copy(update={"steps": 2}), hooks)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["shard-0-of-2", "shard-1-of-2"]
    seen: list[int] = []
    hooks = replace(hooks, on_step=lambda row: seen.append(row.step))
    model_2, trace_2 = run(tiny_model, sets, cache, sharded, SETTINGS, hooks)
    assert seen == [1, 2, 3][2:] and len(trace_2.rows) == 3
    assert [row.forgotten for row in trace_2.rows] == [row.forgotten for row in trace.rows]
    moved, moved_2 = how_far(model, tiny_model), how_far(model_2, tiny_model)
    assert moved.norm() > 0 and (moved_2 - moved).norm() <= 1e-4 * moved.norm()  # float32
    assert trace.rows[0].retain_loss > 1e-6 and trace_2.rows[0].retain_loss == pytest.approx(trace.rows[0].retain_loss)
    assert tiny_model.digest() == digest
    assert not any(p.requires_grad for p in model_2.denoiser.parameters())


def test_what_stops_them_is_one_line(tiny_model, sets, case: Case) -> None:
    cache = gradients(tiny_model, sets, by(case), SETTINGS)
    broken = tiny_model.with_own_denoiser()
    with torch.no_grad():
        broken.denoiser.conv_out.weight.fill_(1e30)
    with pytest.raises(ExpungeError, match="step 1: .*(gradient of|products are)") as error:
        run(broken, sets, cache, by(case, processes=2), SETTINGS)
    assert "\n" not in str(error.value)


def test_judges_without_a_name_cannot_be_told(tiny_model, sets, case: Case) -> None:
    given = Case.of(case.world, case.panel(), case.drawing)
    with pytest.raises(ExpungeError, match="hardware.processes: judges that have no name"):
        gradients(tiny_model, sets, by(given, processes=2), SETTINGS)
