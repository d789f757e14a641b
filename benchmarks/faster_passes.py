"""Whether a takedown would end sooner with weights in channels-last order, or with a compiled denoiser.

    python -m benchmarks.faster_passes --out benchmarks/results/faster_passes.md                     six minutes
    python -m benchmarks.faster_passes --model sd15 --device cuda --batch 4 --out /tmp/sd15.md       on a GPU

A process each, by turns: the first training pass (forward and backward, one thread), in which the compiler works, from
an empty cache of its own; then the median of ten more. *Paid back after*: passes until what each saves has made up for
the first. A takedown of the zoo with the default takes about 120 passes, and the compiler would work twice more in it:
for the original's passes, which have no gradient, and for those that draw.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

from benchmarks.gpu.random_models import SIZES, made
from expunge.benchmark.machine import command, machine_line
from expunge.markdown import markdown_table
from expunge.models.resolver import load_text_to_image
from expunge.models.text_to_image import TextToImage
from expunge.unlearning.batches import LatentSet, denoising_error, draw_batch, generator_of

WAYS = ("as they are", "channels last", "compiled")
PASSES = 10


def measured(way: str, name: str, device: str, size: int) -> list[float]:
    """Seconds of the first pass, and the median of those after it; in this process."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        model = load_text_to_image("zoo").to(device) if name == "zoo" else made(name, Path(folder), device)
    denoiser = model.with_own_denoiser().denoiser.requires_grad_(True)
    if way == "channels last":
        denoiser.to(memory_format=torch.channels_last)
    if way == "compiled":
        denoiser.compile()
    batch = draw_batch(_random_set(model, size), torch.arange(size), model.levels, generator_of(1))
    batch = batch.to(torch.device(device), torch.float32)

    def seconds() -> float:
        began = time.perf_counter()
        denoising_error(denoiser, model, batch).mean().backward()
        if device.startswith("cuda"):
            torch.cuda.synchronize()
        return time.perf_counter() - began

    first = seconds()
    return [first, statistics.median(seconds() for _ in range(PASSES))]


def _random_set(model: TextToImage, size: int) -> LatentSet:
    """Random latents under one sentence."""
    return LatentSet(
        latents=torch.randn(size, *model.latent_shape, generator=generator_of(2)),
        prompt_indices=torch.zeros(size, dtype=torch.int64),
        conditions=model.encode_texts(["a cat on white"]),
        strata=["all"] * size,
    )


def main() -> None:
    """Measure by turns, print, and write the table down."""
    parser = argparse.ArgumentParser(description="Passes with channels-last weights and a compiled denoiser.")
    parser.add_argument("--model", choices=["zoo", *SIZES], default="zoo")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--measure", choices=WAYS)
    options = parser.parse_args()
    if options.measure:
        print(*measured(options.measure, options.model, options.device, options.batch))
        return
    found: dict[str, list[list[float]]] = {way: [] for way in WAYS}
    for _ in range(options.repeats):
        for way in WAYS:
            found[way].append(_apart(way))
    rows = []
    for way, runs in found.items():
        first, later = (statistics.median(column) for column in zip(*runs, strict=True))
        usual = statistics.median(run[1] for run in found[WAYS[0]])
        ratios = sorted(run[1] / base[1] for run, base in zip(runs, found[WAYS[0]], strict=True))
        paid = (first - later) / (usual - later) if later < usual else float("inf")
        spread = f"{statistics.median(ratios):.2f} [{ratios[0]:.2f}–{ratios[-1]:.2f}]"
        paid_back = "–" if way == WAYS[0] else f"{paid:.0f} passes" if paid < float("inf") else "never"
        rows.append([way, f"{first:.1f}", f"{later:.3f}", spread, paid_back])
    head = ["weights, denoiser", "first pass, s", "a later pass, s", "× as they are [least–most]", "paid back after"]
    title = f"Training passes of {options.batch} pictures, {options.model}. `{command()}`"
    options.out.write_text(f"{title}\n\n{markdown_table(head, rows)}\n\n{machine_line()}\n", encoding="utf-8")
    print(options.out.read_text(encoding="utf-8"))


def _apart(way: str) -> list[float]:
    """`measured` in a process of its own, whose compiler finds nothing that was compiled before."""
    with tempfile.TemporaryDirectory() as cache:
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.faster_passes", *sys.argv[1:], "--measure", way],
            env={**os.environ, "TORCHINDUCTOR_CACHE_DIR": cache}, capture_output=True, encoding="utf-8", check=True,
        )  # fmt: skip
    return [float(each) for each in done.stdout.split()[-2:]]


if __name__ == "__main__":
    main()
