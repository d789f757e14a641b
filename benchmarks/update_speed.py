"""How long it takes to form the restricted gradient, against flattening and against the memory's own speed.

    python benchmarks/update_speed.py                           50M parameters, a minute
    python benchmarks/update_speed.py --parameters 500M         needs 10 GB of memory
    python benchmarks/update_speed.py --json benchmarks/results/update_speed.json

All ways take turns within one run, so that other work on the machine hits them alike. Rows:

- floor: a plain copy of one gradient set (a read and a write), times 5/2: two reads for the products, two
  reads and a write for the sum.
- Euclid: three dot products, two coefficients, one scaled add in place.
- metric: the same in a diagonal metric; its floor has one read more, 6/2 copies.
- flatten: both gradients concatenated, projected as vectors, cut up and copied back: the published way.
"""

import argparse
import json
import resource
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from expunge.benchmark.machine import machine
from expunge.unlearning.gradients import coefficients
from expunge.unlearning.products import dot_products

RETAIN_WEIGHT = 5.0


def parameter_count(text: str) -> int:
    """``50M`` → 50,000,000."""
    units = {"K": 10**3, "M": 10**6, "G": 10**9}
    number = float(text[:-1]) * units[text[-1]] if text[-1:] in units else float(text)
    if not 1 <= number <= 1e11:
        raise argparse.ArgumentTypeError(f"{text}: must be 1 to 100G parameters")
    return int(number)


def shapes_like_a_unet(parameters: int) -> list[int]:
    """Tensor sizes of a denoiser: a few hundred large convolutions and as many small biases."""
    large = max(parameters // 200, 1)
    sizes: list[int] = []
    while parameters > 0:
        sizes += [min(large, parameters)]
        parameters -= sizes[-1]
        if parameters > 320:
            sizes.append(320)
            parameters -= 320
    return sizes


def restricted(forget: list[Tensor], retain: list[Tensor], metric: list[Tensor] | None) -> None:
    """Ours: written over the forget gradients, as the others are."""
    chosen = coefficients(*dot_products(forget, retain, metric), RETAIN_WEIGHT)
    for f, r in zip(forget, retain, strict=True):
        f.mul_(chosen.forget).add_(r, alpha=chosen.retain)


def flattened(forget: list[Tensor], retain: list[Tensor]) -> None:
    """The usual way, as the paper's formulas read: one long vector each, projected, cut up, copied back."""
    f, r = torch.cat([t.flatten() for t in forget]), torch.cat([t.flatten() for t in retain])
    product = torch.dot(f, r)
    if product < 0:
        f, r = f - product / torch.dot(r, r) * r, r - product / torch.dot(f, f) * f
    d = f + RETAIN_WEIGHT * r
    start = 0
    for t in forget:
        t.copy_(d[start : start + t.numel()].view_as(t))
        start += t.numel()


def measure(parameters: int, repeats: int, device: str = "cpu") -> dict[str, list[float]]:
    """Seconds of every way, by repeat, on a device. Each starts from the same gradients."""
    place = {"generator": torch.Generator(device).manual_seed(0), "device": device}
    sizes = shapes_like_a_unet(parameters)
    start = [torch.randn(n, **place) for n in sizes]
    retain = [torch.randn(n, **place).sub_(f, alpha=0.5) for n, f in zip(sizes, start, strict=True)]
    metric = [torch.rand(n, **place).add_(0.1) for n in sizes]
    forget = [f.clone() for f in start]

    def copy() -> None:
        for target, source in zip(forget, start, strict=True):
            target.copy_(source)

    wait: Callable[[], None] = torch.cuda.synchronize if device.startswith("cuda") else lambda: None
    ways: dict[str, Callable[[], None]] = {
        "copy": copy,
        "Euclid": lambda: restricted(forget, retain, None),
        "metric": lambda: restricted(forget, retain, metric),
        "flatten": lambda: flattened(forget, retain),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for repeat in range(repeats + 1):
        for name, way in ways.items():
            copy()
            wait()
            began = time.perf_counter()
            way()
            wait()
            if repeat:  # the first round warms up
                seconds[name].append(time.perf_counter() - began)
    copies = seconds.pop("copy")
    return seconds | {"floor": [5 / 2 * s for s in copies], "floor, metric": [6 / 2 * s for s in copies]}


def spread(values: list[float]) -> dict[str, float]:
    """Median and range."""
    return {"median": statistics.median(values), "low": min(values), "high": max(values)}


def ratios(above: list[float], below: list[float]) -> dict[str, float]:
    """Of neighbours in the same repeat."""
    return spread([a / b for a, b in zip(above, below, strict=True)])


def main() -> None:
    """Measure, print, and write the numbers down if asked."""
    parser = argparse.ArgumentParser(description="Time of forming the update, side by side.")
    parser.add_argument("--parameters", type=parameter_count, default=50_000_000, help="e.g. 50M, 500M")
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--threads", type=int, default=None, help="default: as torch chooses")
    parser.add_argument("--json", type=Path, default=None, help="write the numbers to this file")
    options = parser.parse_args()
    if options.repeats < 1:
        parser.error(f"--repeats is {options.repeats}: must be at least 1")
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    seconds = measure(options.parameters, options.repeats)
    facts = machine() | {
        "parameters": options.parameters,
        "repeats": options.repeats,
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }
    rows = {
        name: {
            "seconds": spread(seconds[name]),
            "times_its_floor": ratios(seconds[name], seconds["floor, metric" if "metric" in name else "floor"]),
            "times_faster_than_flatten": ratios(seconds["flatten"], seconds[name]),
        }
        for name in ("floor", "Euclid", "floor, metric", "metric", "flatten")
    }
    table = Table(title=f"Forming the update, {options.parameters / 1e6:g}M float32 parameters: median [range]")
    for heading in ("way", "seconds", "× its floor", "× faster than flatten"):
        table.add_column(heading, justify="left" if heading == "way" else "right")
    for name, row in rows.items():
        table.add_row(name, *(f"{v['median']:.3g} [{v['low']:.3g}–{v['high']:.3g}]" for v in row.values()))
    console = Console()
    console.print(table)
    console.print(", ".join(f"{name} {value}" for name, value in facts.items()), highlight=False)
    if options.json is not None:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(
            json.dumps({"facts": facts, "rows": rows}, indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
        )


if __name__ == "__main__":
    main()
