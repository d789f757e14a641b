"""How much memory unlearning takes at its highest, in one process and in each of two that hold shards (FSDP2).

    python -m benchmarks.peak_memory_sharded --out benchmarks/results/peak_memory_sharded.md      ten minutes

As ``peak_memory.py``, row "everything": a Stable Diffusion pipeline with random weights, on the CPU, the same batches
in both, of which each of two processes takes a half. Counted is the memory that a process has for itself, from the
first look at the model on: gradients at the start and their file, the measured rate, steps, a checkpoint after each,
and what was trained when it is put together. Weights that are only mapped from the model's file do not count, in one
process they are copied first: on a device they would be. In units of the denoiser's float32 parameters.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
import torch.distributed as dist
from torch import nn

from benchmarks.peak_memory import MIB, STEPS, latents, make_model, settings_of
from expunge.benchmark.machine import command, machine_line
from expunge.benchmark.peak_memory import PeakMemory
from expunge.markdown import markdown_table
from expunge.models.blueprint import blueprint
from expunge.models.hardware import HardwareSettings
from expunge.models.resolver import read_folder
from expunge.unlearning.batches import LatentSets
from expunge.unlearning.gradient_cache import GradientCache, cache_gradients
from expunge.unlearning.job import twin_of
from expunge.unlearning.loop import Hooks, unlearn
from expunge.unlearning.memory import Memory, reckon
from expunge.unlearning.problem import Problem, trained_parameters
from expunge.unlearning.ranks import Ranks
from expunge.unlearning.sharding import gathered, shard

ROW, COUNT = "everything", 2
SHARDED = HardwareSettings(device="cpu", processes=COUNT, sharded=True)


def measured(folder: Path, rank: int) -> dict[str, float]:
    """Peaks of this process, MiB, by phase; the other one does the same."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder / 'met'}", rank=rank, world_size=COUNT)
    _, gradients, unlearning = settings_of(ROW)
    ranks, small = Ranks(rank, COUNT, sharded=True), nn.Conv2d(4, 4, 3)
    shard(small, "cpu")  # what the first use of torch takes is not counted
    small(torch.randn(1, 4, 8, 8)).sum().backward()
    with PeakMemory() as empty:
        pass
    model = read_folder(folder)
    torch.manual_seed(0)
    sets, forgetting = LatentSets(latents(8, 16), latents(32, 16)), unlearning.forgetting()
    with PeakMemory() as first:
        twin = twin_of(model, unlearning.trained, ranks)[0]
        problem = Problem(twin.denoiser, model, forgetting.objectives(), sets, twin.denoiser, ranks)
        cache = cache_gradients(problem, gradients, "model", progress=False)
        if ranks.first:
            cache.save(folder / "cache")
    del twin, problem, cache
    ranks.wait()
    model, cache = read_folder(folder), GradientCache.load(folder / "cache")
    with PeakMemory() as second:
        twin, original = twin_of(model, unlearning.trained, ranks)
        hooks = Hooks(checkpoint_folder=folder / "checkpoints", progress=False, original=original, ranks=ranks)
        unlearn(twin.denoiser, model, sets, unlearning, cache, hooks)
        trained = trained_parameters(twin.denoiser)
        gathered(dict(trained), trained, ranks.first)
    return {"start": first.megabytes - empty.megabytes, "steps": second.megabytes - empty.megabytes}


def found_by(runs: list[tuple[str, Path, str]]) -> list[dict[str, float]]:
    """What processes measured that run beside each other: module, model and what each is told to measure."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "MALLOC_MMAP_THRESHOLD_": "65536", "GLOO_SOCKET_IFNAME": "lo"}
    started = [
        subprocess.Popen(
            [sys.executable, "-m", module, "--model", str(folder), "--measure", told],
            env=environment,
            stdout=subprocess.PIPE,
            encoding="utf-8",
        )
        for module, folder, told in runs
    ]
    said = [each.communicate()[0] for each in started]
    if any(each.returncode for each in started):
        raise SystemExit("a process ended with an error; it says above which")
    return [json.loads(each.splitlines()[-1]) for each in said]


def reckoned(folder: Path, hardware: HardwareSettings) -> dict[str, float]:
    """What the doctor says, MiB, by phase."""
    need: Memory = reckon(blueprint(str(folder)), *settings_of(ROW), hardware)
    return {
        "start": need.phases["gradients at the start"] / MIB,
        "steps": max(need.phases[name] for name in STEPS) / MIB,
        "unit": need.denoiser / MIB,
    }


def table(channels: int) -> tuple[str, list[float]]:
    """The table, and the ratios of the peaks."""
    with tempfile.TemporaryDirectory() as name:
        folder, other = make_model(Path(name) / "model", channels), Path(name) / "other"
        shutil.copytree(folder, other)
        sharded = [("benchmarks.peak_memory_sharded", other, str(rank)) for rank in range(COUNT)]
        one, *two = found_by([("benchmarks.peak_memory", folder, ROW), *sharded])
        said, said_of_two = reckoned(folder, HardwareSettings(device="cpu")), reckoned(folder, SHARDED)
    unit, rows, ratios = said["unit"], [], []
    for phase in ("start", "steps"):
        ratios.append(max(each[phase] for each in two) / one[phase])
        cells = [one[phase], said[phase], *(each[phase] for each in two), said_of_two[phase]]
        rows.append([phase, *(f"{each / unit:.2f}" for each in cells), f"{ratios[-1]:.2f}"])
    heads = ["phase", "one process", "doctor", "first of two", "second", "doctor", "largest of two by one"]
    return f"{markdown_table(heads, rows)}\n\nA unit is {unit:.0f} MiB.", ratios


def main() -> None:
    """Measure, print, and write the table down."""
    parser = argparse.ArgumentParser(description="Memory at its highest, whole and in shards.")
    parser.add_argument("--channels", type=int, default=96, help="of the denoiser; 96 are 20M parameters")
    parser.add_argument("--most", type=float, default=0.6, help="exit status 1 if a ratio is larger")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--measure", type=int, help="one of the processes")
    parser.add_argument("--model", type=Path)
    options = parser.parse_args()
    if options.measure is not None:
        print(json.dumps(measured(options.model, options.measure)))
        return
    found, ratios = table(options.channels)
    text = f"Peak memory, parameters' worth. `{command()}`\n\n{found}\n\n"
    text += f"{machine_line()}\n"
    print(text)
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(text, encoding="utf-8")
    sys.exit(any(ratio > options.most for ratio in ratios))


if __name__ == "__main__":
    main()
