"""What it brings that a process keeps the memory it frees: drawing and training steps on a CPU, with and without.

    python -m benchmarks.freed_memory --out benchmarks/results/freed_memory.md          three minutes

A process each, by turns; seconds of CPU, user and system together, of 64 pictures in ten steps and of twelve training
steps of 32 pictures with the embedded model, and the most memory that the process had.
"""

import argparse
import resource
import statistics
import subprocess
import sys
from pathlib import Path

from expunge.benchmark.machine import command, machine_line
from expunge.markdown import markdown_table

WAYS, WORK = ("given back", "kept"), ("drawing", "training")


def measured(way: str, what: str) -> list[float]:
    """Seconds of CPU, and MB at the most; in this process."""
    import torch

    from expunge.freed_memory import keep_freed_memory
    from expunge.models.resolver import load_text_to_image

    if way == "kept":
        keep_freed_memory()
    torch.set_num_threads(1)
    model = load_text_to_image("zoo").with_own_denoiser()
    denoiser = model.denoiser.requires_grad_(what == "training")
    given = torch.randn(32, *model.latent_shape), torch.full((32,), 500), torch.randn(32, 16, 128)

    def work(times: int) -> None:
        if what == "drawing":
            model.draw(["a noto drawing of cat"] * 32 * times, range(32 * times), steps=10)
            return
        for _ in range(6 * times):
            denoiser.zero_grad(set_to_none=True)
            denoiser(given[0], given[1], encoder_hidden_states=given[2]).sample.square().mean().backward()

    def spent() -> float:
        used = resource.getrusage(resource.RUSAGE_SELF)
        return used.ru_utime + used.ru_stime

    work(1)
    before = spent()
    work(2)
    return [spent() - before, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]


def main() -> None:
    """Measure by turns, print, and write the table down."""
    parser = argparse.ArgumentParser(description="Freed memory, kept or given back.")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--measure", nargs=2)
    options = parser.parse_args()
    if options.measure:
        print(*measured(*options.measure))
        return
    rows = []
    for what in WORK:
        found: dict[str, list[list[float]]] = {way: [] for way in WAYS}
        for _ in range(options.repeats):
            for way in WAYS:
                done = subprocess.run(
                    [sys.executable, "-m", "benchmarks.freed_memory", "--measure", way, what],
                    capture_output=True, encoding="utf-8", check=True,
                )  # fmt: skip
                found[way].append([float(each) for each in done.stdout.split()[-2:]])
        ratios = sorted(k[0] / g[0] for g, k in zip(found[WAYS[0]], found[WAYS[1]], strict=True))
        seconds = [f"{statistics.median(each[0] for each in found[way]):.2f}" for way in WAYS]
        memory = [f"{statistics.median(each[1] for each in found[way]):.0f}" for way in WAYS]
        spread = f"{statistics.median(ratios):.2f} [{ratios[0]:.2f}–{ratios[-1]:.2f}]"
        rows.append([what, *seconds, spread, *memory])
    heads = ["", "given back, s", "kept, s", "kept by given back [least–most]", "given back, MB", "kept, MB"]
    text = f"Freed memory, kept by the process or given back. `{command()}`\n\n{markdown_table(heads, rows)}\n\n"
    text += f"{machine_line()}\n"
    print(text)
    if options.out:
        options.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
