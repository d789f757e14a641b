"""What a job takes is reckoned before it is loaded, and is what it then takes."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from benchmarks.peak_memory import latents, make_model, settings_of
from benchmarks.peak_memory import reckoned as row_reckoned
from expunge.errors import ExpungeError
from expunge.models.blueprint import blueprint
from expunge.models.hardware import HardwareSettings
from expunge.models.resolver import read_folder
from expunge.pictures.drawing import DrawingSettings
from expunge.unlearning.batches import LatentSets
from expunge.unlearning.gradient_cache import cache_gradients
from expunge.unlearning.loop import Hooks, unlearn
from expunge.unlearning.memory import Memory, Watch, reckon
from expunge.unlearning.problem import Problem
from expunge.unlearning.unlearn_settings import GradientSettings, UnlearnSettings
from tests.families import make_family

ROOT = Path(__file__).parents[2]
ONE = HardwareSettings(device="cpu")


def reckoned(folder: Path, hardware: HardwareSettings = ONE, **unlearning) -> Memory:
    drawing, gradients = DrawingSettings(batch_size=1, guidance=1), GradientSettings(batch_size=2)
    settings = UnlearnSettings.model_validate({"forget_batch_size": 2, "retain_batch_size": 8, **unlearning})
    return reckon(blueprint(str(folder)), drawing, gradients, settings, hardware)


def test_a_blueprint_is_the_model_without_its_weights(tiny_folder: Path) -> None:
    described, read = blueprint(str(tiny_folder)), read_folder(tiny_folder)
    assert type(described) is type(read) and described.size == read.size
    for ours, theirs in zip(described.denoiser.named_parameters(), read.denoiser.named_parameters(), strict=True):
        assert ours[0] == theirs[0] and ours[1].shape == theirs[1].shape and ours[1].is_meta
    assert (
        described.encode_texts(["a cat"])["encoder_hidden_states"].shape
        == read.encode_texts(["a cat"])["encoder_hidden_states"].shape
    )


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(ExpungeError, match="model: '.*nowhere' is no diffusers folder on this disk"):
        blueprint(str(tmp_path / "nowhere"))


def test_the_watch_counts_what_is_there_at_once(tiny_folder: Path) -> None:
    model = blueprint(str(tiny_folder))
    with Watch(model) as watch:
        first = torch.empty(1000, device="meta") + 1  # the sum is one more tensor, while its terms are there
        assert watch.peak == 8000
        view = first.view(10, 100)
        view += 1
        second = first.new_empty(500)
        del second
        assert watch.peak == 8000 and watch.now == 4000
        next(model.denoiser.parameters()).view(-1)
        assert watch.now == 4000


def test_parameters_moments_and_gradients_are_counted(tiny_folder: Path) -> None:
    """With batches of one and small pictures, what passes keep is the rest."""
    full, lora = (reckoned(tiny_folder, trained=each) for each in ({}, {"what": "lora", "rank": 1}))
    assert full.trained == full.denoiser and lora.trained < full.trained / 20
    rest = full.phases["retain gradient"] - (full.others + 6 * full.denoiser)  # base, twin, three moments, a gradient
    assert rest > 0
    assert lora.phases["retain gradient"] - (lora.others + lora.denoiser + 5 * lora.trained) == pytest.approx(
        rest, rel=0.5
    )
    salient = reckoned(tiny_folder, trained={"saliency": 0.5})  # a mask, from the rate on
    for name, size in salient.phases.items():
        without = name in ("gradients at the start", "evaluation")
        assert size - full.phases[name] == (0 if without else full.trained // 4)
    assert (
        "measuring the rate" in full.phases
        and "measuring the rate" not in reckoned(tiny_folder, learning_rate=1e-4).phases
    )


@pytest.mark.parametrize(
    ("changed", "phase"),
    [({"retain_batch_size": 16}, "retain gradient"), ({"forget_batch_size": 8}, "forget gradient")],
)
def test_larger_batches_take_more(tiny_folder: Path, changed: dict, phase: str) -> None:
    assert reckoned(tiny_folder, **changed).phases[phase] > 1.3 * reckoned(tiny_folder).phases[phase]


def test_shards_take_a_part(tiny_folder: Path) -> None:
    one, two = reckoned(tiny_folder), reckoned(tiny_folder, HardwareSettings(device="cpu", processes=2, sharded=True))
    steps = ("measuring the rate", "forget gradient", "retain gradient")
    assert max(two.phases[each] for each in steps) < 0.75 * max(one.phases[each] for each in steps)
    assert two.phases["evaluation"] == one.phases["evaluation"] > 2 * one.denoiser, "pictures are drawn by whole models"


FAMILIES = ["stable_diffusion_xl", "flux", "qwen_image", "dit"]


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_is_reckoned_or_says_what_is_not(name: str, tmp_path: Path) -> None:
    need = reckoned(make_family(name, tmp_path / name))
    assert need.peak > 6 * need.denoiser and bool(need.unknown) == (name == "qwen_image")


@pytest.mark.slow
@pytest.mark.parametrize("row", ["everything", "adapter"])
def test_it_is_what_is_measured(row: str) -> None:
    """Within 15 %, on a denoiser of 35 million parameters; ``benchmarks/peak_memory.py`` has more rows."""
    run = [sys.executable, "-m", "benchmarks.peak_memory", "--channels", "128", "--rows", row, "--within", "0.15"]
    done = subprocess.run(run, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]


@pytest.mark.parametrize("row", ["everything, bf16", "adapter, one picture at a time, bf16"])
def test_in_bf16_it_is_what_the_job_allocates(row: str, tmp_path: Path) -> None:
    """Within 15 % of all tensors that there are at once, weights included. The process takes more on a CPU, see
    ``benchmarks/results/peak_memory.md``."""
    folder = make_model(tmp_path / "model", 32)
    _, gradients, unlearning = settings_of(row)
    unlearning = unlearning.model_copy(update={"steps": 1, "learning_rate": 1e-4})
    model = read_folder(folder).on("cpu", "bf16")
    weights = sum(p.numel() * p.element_size() for each in model.modules() for p in each.parameters())
    sets, objectives = LatentSets(latents(2, 16), latents(8, 16)), unlearning.forgetting().objectives()
    with Watch(model) as first:
        twin = model.to_train(unlearning.trained, to_step=False)
        problem = Problem(twin.denoiser, model, objectives, sets, twin.denoiser)
        cache = cache_gradients(problem, gradients, "model", progress=False)
        del twin, problem
    with Watch(model) as second:
        twin = model.to_train(unlearning.trained)
        unlearn(twin.denoiser, model, sets, unlearning, cache, Hooks(progress=False, original=model.denoiser))
    said = row_reckoned(folder, row).phases
    assert said["gradients at the start"] == pytest.approx(weights + first.peak, rel=0.15)
    assert max(said["forget gradient"], said["retain gradient"]) == pytest.approx(weights + second.peak, rel=0.15)
