"""One of two processes that do every kind of run together, on a small denoiser; for ``test_ranks``.

python -m tests.unlearning.two_ranks FOLDER RANK
"""

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
import torch.distributed as dist
from diffusers import DDPMScheduler
from safetensors.torch import save_file
from torch import Tensor, nn

from expunge.models.diffusion import DiffusionProcess
from expunge.models.held_weights import hold
from expunge.models.trained_part import TrainedSettings, prepare
from expunge.unlearning.gradient_cache import KINDS, GradientCache, cache_gradients
from expunge.unlearning.gradients import NonFiniteGradientError
from expunge.unlearning.loop import Hooks, unlearn
from expunge.unlearning.problem import Problem, trained_parameters
from expunge.unlearning.ranks import ALONE, Ranks
from expunge.unlearning.sharding import shard, whole
from expunge.unlearning.trace import Trace
from expunge.unlearning.unlearn_settings import GradientSettings, UnlearnSettings
from tests.unlearning.conftest import LatentSets, make_set, make_unet

PARTS = {
    "full": TrainedSettings(),
    "cross-attention": TrainedSettings(what="cross_attention"),
    "lora": TrainedSettings(what="lora", rank=4),
}
PARTS |= {f"{part}, bf16": PARTS[part] for part in ("cross-attention", "lora")}  # what is frozen is held so
SIZES = {"forget_batch_size": 3, "retain_batch_size": 4}
RUNS: dict[str, tuple[str, UnlearnSettings]] = {
    "full": ("full", UnlearnSettings(**SIZES, steps=3, pace=None, learning_rate=1e-3)),
    "measured rate": ("full", UnlearnSettings(**SIZES, steps=2, pace=None, learning_rate=None)),
    "safeguarded": (
        "full",
        UnlearnSettings(**SIZES, steps=2, pace=None, learning_rate=1e-2, safeguard={"tolerance": 0.01}),
    ),
    "cross-attention": ("cross-attention", UnlearnSettings(**SIZES, steps=3, pace=None, learning_rate=1e-3)),
    "lora": ("lora", UnlearnSettings(**SIZES, steps=3, pace=None, learning_rate=1e-2)),
    "salient": ("full", UnlearnSettings(**SIZES, steps=1, trained={"saliency": 0.3}, pace=None, learning_rate=1e-3)),
    "bf16": ("cross-attention, bf16", UnlearnSettings(**SIZES, steps=1, pace=None, learning_rate=None)),
    "lora, bf16": ("lora, bf16", UnlearnSettings(**SIZES, steps=1, pace=None, learning_rate=1e-2)),
}
PUBLISHED: dict[str, tuple[str, UnlearnSettings]] = {
    "RG": ("full", UnlearnSettings(**SIZES, method="restricted_gradient", steps=2, pace=None, learning_rate=1e-3)),
    "RGD": (
        "full",
        UnlearnSettings(**SIZES, method="restricted_gradient_diversified", steps=2, pace=None, learning_rate=1e-3),
    ),
}


def sets() -> LatentSets:
    """The same in all processes."""
    retain = make_set(12, 2, ("dog/noto", "apple/noto", "car/twemoji"))
    return LatentSets(make_set(6, 1, ("cat/noto",)), replace(retain, anchor_indices=None))


def done(part: str, settings: UnlearnSettings, ranks: Ranks = ALONE) -> tuple[GradientCache, dict[str, Tensor], Trace]:
    """Gradients, where what was trained has got to, and the trace."""
    process, base = DiffusionProcess(DDPMScheduler(num_train_timesteps=100)), make_unet().requires_grad_(False)
    if part.endswith("bf16"):
        process.precision = "bf16"
        hold([base.float()])
    twin, measured = (prepare(base, PARTS[part], to_step) for to_step in (True, False))
    original: nn.Module | None = base
    if ranks.sharded:
        for each in (twin, measured):
            shard(each, "cpu")
        original = None if part == "lora" else base
        if original is not None:
            shard(base, "cpu")
    problem = Problem(measured, process, settings.objectives(), sets(), measured, ranks)
    cache = cache_gradients(problem, GradientSettings(batch_size=5), "m", progress=False)
    if ranks.sharded:  # only the first has it whole; a run reads it from a folder
        held = [cache]
        dist.broadcast_object_list(held)
        cache = held[0]
    trace = unlearn(twin, process, sets(), settings, cache, Hooks(progress=False, original=original, ranks=ranks))
    return cache, {name: whole(p, p) for name, p in trained_parameters(twin).items()}, trace


def save(folder: Path, found: tuple[GradientCache, dict[str, Tensor], Trace]) -> None:
    """Write down what came out."""
    cache, parameters, trace = found
    folder.mkdir()
    tensors = {f"{kind}/{name}": each for kind in KINDS for name, each in getattr(cache, kind).items()}
    save_file(
        {name: each.contiguous() for name, each in (tensors | parameters).items()}, folder / "tensors.safetensors"
    )
    (folder / "trace.json").write_text(trace.model_dump_json())
    (folder / "key").write_text(cache.key)


def together(folder: Path, rank: int) -> None:
    """All runs, replicated and sharded."""
    dist.init_process_group("gloo", init_method=f"file://{folder / 'met'}", rank=rank, world_size=2)
    for way in (Ranks(rank, 2), Ranks(rank, 2, sharded=True)):
        for name, (part, settings) in (RUNS | ({} if way.sharded else PUBLISHED)).items():
            found = done(part, settings, way)
            if way.first:
                save(folder / f"{'sharded' if way.sharded else 'replicated'}, {name}", found)
    for way in (Ranks(rank, 2), Ranks(rank, 2, sharded=True)):
        broken_in_one(folder, way)
    try:
        way.refuse_together(NonFiniteGradientError("mine") if rank == 0 else None)
    except NonFiniteGradientError as error:
        Path(folder, f"told-{rank}").write_text(str(error))
    dist.destroy_process_group()


def broken_in_one(folder: Path, ranks: Ranks) -> None:
    """The picture that breaks a gradient is in the part of one process; all stop, and say so."""
    process, twin = DiffusionProcess(DDPMScheduler(num_train_timesteps=100)), prepare(make_unet(), PARTS["full"])
    if ranks.sharded:
        shard(twin, "cpu")
    whole_sets = sets()
    whole_sets.retain.latents[0] = torch.inf
    settings = UnlearnSettings(
        **SIZES, steps=50, pace=None, learning_rate=1e-4, alignment="data", forget={"truncated": 1}
    )
    settings = settings.model_copy(update={"method_options": {"warm_start": False}})
    before = {name: whole(p, p).clone() for name, p in twin.named_parameters()}
    report: Callable[[str], int] = Path(folder, f"broken-{ranks.sharded}-{ranks.rank}").write_text
    try:
        unlearn(twin, process, whole_sets, settings, None, Hooks(progress=False, ranks=ranks))
        report("nothing was said")
    except Exception as error:
        moved = sum(not torch.equal(whole(p, p), before[name]) for name, p in twin.named_parameters())
        finite = all(whole(p, p).isfinite().all() for p in twin.parameters())
        report(f"{type(error).__name__}: {error} (moved {moved}, finite {finite})")


if __name__ == "__main__":
    torch.set_num_threads(1)
    together(Path(sys.argv[1]), int(sys.argv[2]))
