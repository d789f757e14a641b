"""How long one step of unlearning takes, against one plain fine-tuning step over as many pictures.

    python benchmarks/step_cost.py --threads 1                        both denoisers, half an hour
    python benchmarks/step_cost.py --threads 1 --denoiser zoo         the embedded one alone, four minutes
    python benchmarks/step_cost.py --threads 1 --rows engine RG       these and the plain step alone
    python benchmarks/step_cost.py --threads 1 --json benchmarks/results/step_cost.json

All ways take turns within one run, so that other work on the machine hits them alike. Latents, embeddings and noise
are random and drawn beforehand, as the loop has them from the cache; a step is everything from a batch on the processor
to the changed parameters. Denoisers: the zoo's (7.2M parameters), and a stock ``UNet2DConditionModel`` of 50M. Rows:

- plain: AdamW with torch's defaults, one forward and backward pass over forget and retain pictures together. The
  yardstick.
- plain, fused: the same with torch's fused AdamW.
- engine: ``stepping_metric`` with ``alignment: data``.
- engine, original: the same with ``alignment: original``: the original predicts each retain batch.
- RG: ``restricted_gradient`` as published.
- RGD, 8 batches: ``restricted_gradient_diversified`` with eight retain batches, and so more pictures than the others.
"""

import argparse
import copy
import json
import resource
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from diffusers import DDPMScheduler, UNet2DConditionModel
from rich.console import Console
from rich.table import Table
from torch.nn.functional import mse_loss
from update_speed import ratios, spread

from expunge.benchmark.machine import machine
from expunge.models.conditions import TOKENS
from expunge.models.diffusion import DiffusionProcess
from expunge.models.resolver import load_text_to_image
from expunge.unlearning.batches import Batch, LatentSet, draw_batch, generator_of, predict
from expunge.unlearning.gradient_cache import GradientCache
from expunge.unlearning.methods import StepSize, get_method
from expunge.unlearning.problem import Objectives, Problem
from expunge.unlearning.unlearn_settings import Alignment

LENGTH = 16  # of a prompt, in tokens
LEARNING_RATE = 1e-5
RETAIN_BATCHES = 8  # of RGD
BAR = 1.10
ROWS = ["plain, fused", "engine", "engine, original", "RG", f"RGD, {RETAIN_BATCHES} batches"]
Step = Callable[[], object]


def large_unet() -> UNet2DConditionModel:
    """50M parameters in the proportions of Stable Diffusion's denoiser, for latents of 16 × 16."""
    torch.manual_seed(0)
    return UNet2DConditionModel(
        sample_size=16,
        in_channels=4,
        out_channels=4,
        down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
        block_out_channels=(160, 320, 448),
        layers_per_block=1,
        cross_attention_dim=512,
        attention_head_dim=8,
    )


def random_set(unet: UNet2DConditionModel, size: int, seed: int) -> LatentSet:
    """Random latents and prompts of the shapes that the denoiser takes."""
    generator = torch.Generator().manual_seed(seed)
    config = unet.config
    return LatentSet(
        latents=torch.randn(size, config.in_channels, config.sample_size, config.sample_size, generator=generator),
        prompt_indices=torch.arange(size),
        conditions={TOKENS: torch.randn(size, LENGTH, config.cross_attention_dim, generator=generator)},
        strata=["all"] * size,
    )


class Bench:
    """One denoiser with its batches; every way of stepping trains a copy of its own."""

    def __init__(self, unet: UNet2DConditionModel, forget_size: int, retain_size: int) -> None:
        self.denoiser = unet.requires_grad_(True).eval()
        self.process = DiffusionProcess(DDPMScheduler())
        sets = (
            random_set(unet, forget_size, 1),
            random_set(unet, retain_size * RETAIN_BATCHES, 2),
        )
        self.forget, retain = (
            draw_batch(each, torch.arange(len(each)), 1000, generator_of(i)) for i, each in enumerate(sets)
        )
        self.retain = retain.split(retain_size)
        self.together = joined([self.forget, self.retain[0]])

    def ways(self) -> dict[str, tuple[int, Step]]:
        """Pictures a step, and the step, by name."""
        one = self.retain[:1]
        pictures, more = len(self.together), len(self.forget) + sum(map(len, self.retain))
        steps = (
            self.plain(fused=True),
            self.method("stepping_metric", one),
            self.method("stepping_metric", one, alignment="original"),
            self.method("restricted_gradient", one),
            self.method("restricted_gradient_diversified", self.retain, retain_batches=RETAIN_BATCHES),
        )
        ways = {"plain": (pictures, self.plain(fused=None))}
        return ways | {
            name: (more if name == ROWS[-1] else pictures, step) for name, step in zip(ROWS, steps, strict=True)
        }

    def plain(self, fused: bool | None) -> Step:
        """One forward and backward pass over all pictures and AdamW."""
        denoiser = copy.deepcopy(self.denoiser)
        optimiser = torch.optim.AdamW(denoiser.parameters(), lr=LEARNING_RATE, fused=fused)

        def step() -> None:
            optimiser.zero_grad(set_to_none=True)
            mse_loss(*predict(denoiser, self.process, self.together)).backward()
            optimiser.step()

        return step

    def method(self, name: str, retain: Sequence[Batch], alignment: Alignment = "data", **options: object) -> Step:
        """One step of a method as the loop calls it."""
        problem = Problem(copy.deepcopy(self.denoiser), self.process, Objectives(5.0, 1.0, alignment))
        settings = get_method(name).settings_type.model_validate(options)
        method = get_method(name)(problem, settings, self.cache())
        return lambda: method.step(self.forget, retain, StepSize(LEARNING_RATE))

    def cache(self) -> GradientCache:
        """Full gradients and squares of the right shapes; how long a step takes does not depend on their values."""
        ones = {name: torch.full_like(p, 1e-3) for name, p in self.denoiser.named_parameters()}
        return GradientCache("", ones, ones, ones, ones, 0.0, 0.0, len(self.forget), 1.0)


def joined(batches: Sequence[Batch]) -> Batch:
    """All pictures in one batch."""
    fields = [(b.latents, b.noise, b.level, b.conditions[TOKENS], b.indices, b.prompted) for b in batches]
    latents, noise, level, tokens, indices, prompted = (torch.cat(each) for each in zip(*fields, strict=True))
    return Batch(latents, noise, level, {TOKENS: tokens}, indices, prompted)


def measure(bench: Bench, repeats: int, wanted: Sequence[str]) -> dict[str, tuple[int, list[float]]]:
    """Pictures a step and seconds by repeat of the plain step and every way that is wanted."""
    ways = {name: way for name, way in bench.ways().items() if name == "plain" or name in wanted}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for repeat in range(repeats + 1):
        for name, (_, step) in ways.items():
            began = time.perf_counter()
            step()
            if repeat:  # the first round warms up
                seconds[name].append(time.perf_counter() - began)
    return {name: (pictures, seconds[name]) for name, (pictures, _) in ways.items()}


def table_of(title: str, rows: dict[str, dict[str, object]]) -> Table:
    """Seconds and ratios, median and range."""
    table = Table(title=title)
    for heading in ("step", "pictures", "seconds", "× plain", "same, a picture"):
        table.add_column(heading, justify="left" if heading == "step" else "right")
    for name, row in rows.items():
        cells = [f"{v['median']:.2f} [{v['low']:.2f}–{v['high']:.2f}]" for v in row.values() if isinstance(v, dict)]
        table.add_row(name, str(row["pictures"]), *cells)
    return table


def main() -> None:
    """Measure, print, and write the numbers down if asked."""
    parser = argparse.ArgumentParser(description="Time of one step, side by side.")
    parser.add_argument("--denoiser", choices=("zoo", "50M", "both"), default="both")
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=ROWS, help="besides the plain step; default: all")
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--threads", type=int, default=None, help="default: as torch chooses")
    parser.add_argument("--json", type=Path, default=None, help="write the numbers to this file")
    options = parser.parse_args()
    if options.repeats < 1:
        parser.error(f"--repeats is {options.repeats}: must be at least 1")
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    # Batches: the defaults of unlearning for the small denoiser; what fits a workstation for the large one, where the
    # optimiser's share of a step is the larger for it.
    denoisers = {
        "zoo": lambda: Bench(load_text_to_image("zoo").denoiser, 16, 32),
        "50M": lambda: Bench(large_unet(), 8, 16),
    }
    console, found = Console(width=110), {}
    for name, make in denoisers.items():
        if options.denoiser not in (name, "both"):
            continue
        bench = make()
        measured = measure(bench, options.repeats, options.rows)
        pictures, plain = measured["plain"]
        rows: dict[str, dict[str, object]] = {
            way: {
                "pictures": count,
                "seconds": spread(seconds),
                "times_plain": ratios(seconds, plain),
                "times_plain_a_picture": ratios([s * pictures / count for s in seconds], plain),
            }
            for way, (count, seconds) in measured.items()
        }
        parameters = sum(p.numel() for p in bench.denoiser.parameters())
        found[name] = {"parameters": parameters, "rows": rows}
        console.print(table_of(f"One step, {parameters / 1e6:.3g}M float32 parameters: median [range]", rows))
        if "engine" in measured:
            engine = ratios(measured["engine"][1], plain)["median"]
            verdict = "held" if engine <= BAR else "missed"
            console.print(f"engine at {engine:.3f} times plain: the bar of {BAR} is {verdict}", highlight=False)
    facts = machine() | {
        "repeats": options.repeats,
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }
    console.print(", ".join(f"{name} {value}" for name, value in facts.items()), highlight=False)
    if options.json is not None:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(
            json.dumps({"facts": facts, "denoisers": found}, indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
        )


if __name__ == "__main__":
    main()
