"""How much a retain gradient varies between batches, and what each means against it brings.

    python benchmarks/gradient_variance.py --json benchmarks/results/gradient_variance.json     digits, ten minutes

On the class-conditional digits, for several targets and seeds, at the base model and after unlearning has begun: many
batches of 16 are drawn in each way, and the variance of their gradients is taken in the metric of the engine's step,
tr(P⁻¹ Cov). Ways:

- independent: pictures and timesteps drawn independently; the data loss. The yardstick.
- strata: pictures balanced over strata, timesteps independent.
- strata, timesteps: as the loop draws them, timesteps stratified too.
- control variate: the same, less what the batch gives at θ₀, plus the cached mean there (SVRG of Johnson & Zhang,
  NeurIPS 2013, with one snapshot). It costs a pass a step and changed nothing measured after unlearning, so the
  engine does without.
- original: the distance to the original model's own prediction instead of the data loss, drawn as the loop does.

Besides the variance, as a ratio to the yardstick's: its ratio to the squared mean gradient of the same loss, since the
losses differ. Both with 95 % intervals over targets.
"""

import argparse
import copy
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import torch
import yaml
from rich.console import Console
from rich.table import Table
from torch import Tensor

from expunge.benchmark.bench import Bench, Materials
from expunge.benchmark.benchmark_settings import BenchmarkSettings, TargetEntry
from expunge.benchmark.machine import command, machine
from expunge.benchmark.spread import mean_over_targets
from expunge.metrics.numbers import Interval
from expunge.progress import progress_bar
from expunge.unlearning.batches import Batch, LatentSet, LatentSets, StratifiedSampler, draw_batch, generator_of
from expunge.unlearning.calibration import EPSILON
from expunge.unlearning.encoding import encode
from expunge.unlearning.loop import Hooks, unlearn
from expunge.unlearning.problem import Objectives, Problem
from expunge.unlearning.unlearn_settings import UnlearnSettings

CONFIG = Path("configs/ablation-digits.yaml")  # model, data and settings
STEPS = (0, 5, 20)  # of unlearning, after which is measured
WAYS = ("independent", "strata", "strata, timesteps", "control variate", "original")
BATCH = 16
RETAIN_WEIGHT = 5.0


def independent_levels(batch: Batch, levels: int, generator: torch.Generator) -> Batch:
    """The batch with noise levels drawn independently."""
    return replace(batch, level=torch.randint(levels, batch.level.shape, generator=generator))


def batches(way: str, data: LatentSet, levels: int, count: int, seed: int) -> Iterator[Batch]:
    """Batches drawn in that way."""
    sampler = StratifiedSampler(data.strata, BATCH, seed)
    for number in range(count):
        generator = generator_of(seed, WAYS.index(way), number)
        if way == "independent":
            indices = torch.randint(len(data), (BATCH,), generator=generator)
        else:
            indices = sampler.batch(number)
        batch = draw_batch(data, indices, levels, generator)
        yield independent_levels(batch, levels, generator) if way in WAYS[:2] else batch


def variance_and_mean(gradients: Iterator[list[Tensor]], metric: list[Tensor]) -> tuple[float, float]:
    """tr(P⁻¹ Cov) and |mean|² in the metric, both unbiased, float64, without keeping the gradients."""
    count, squares, total = 0, 0.0, [torch.zeros_like(w) for w in metric]
    for gradient in gradients:
        count += 1
        squares += sum(float((g.double().square() * w).sum()) for g, w in zip(gradient, metric, strict=True))
        for t, g in zip(total, gradient, strict=True):
            t.add_(g)
    of_mean = sum(float(((t / count).square() * w).sum()) for t, w in zip(total, metric, strict=True))
    variance = (squares - count * of_mean) / (count - 1)
    return variance, of_mean - variance / count


def measure(bench: Bench, materials: Materials, steps: int, seed: int, count: int) -> dict[str, tuple[float, float]]:
    """Variance and squared mean of every way, after so many steps of unlearning."""
    denoiser, process = copy.deepcopy(bench.model.denoiser).requires_grad_(True), bench.model
    sets = LatentSets(*(encode(bench.model, each) for each in (materials.forget, materials.retain)))
    sides = {
        alignment: Problem(denoiser, process, Objectives(RETAIN_WEIGHT, 1.0, alignment), sets)
        for alignment in ("data", "original")
    }
    start = Problem(copy.deepcopy(denoiser), process, Objectives(RETAIN_WEIGHT), sets)
    cache = materials.cached(Objectives(RETAIN_WEIGHT)).gradients
    diagonal = cache.preconditioner(RETAIN_WEIGHT, EPSILON)
    means = [cache.retain.get(name) for name in start.parameters]
    metric = [1 / diagonal[name].double() for name in sides["data"].parameters]
    if steps:
        how = UnlearnSettings(
            steps=steps,
            seed=seed,
            learning_rate=None,
            retain_weight=RETAIN_WEIGHT,
            forget_batch_size=BATCH,
            retain_batch_size=BATCH,
            pace=None,
            forget={"truncated": 1.0},
        )
        unlearn(denoiser, process, sets, how, cache, Hooks(progress=False))

    def gradient_in(way: str) -> Callable[[Batch], list[Tensor]]:
        problem = sides["original" if way == "original" else "data"]

        def of(batch: Batch) -> list[Tensor]:
            _, gradient = problem.retain_gradient([batch])
            if way == "control variate":
                _, before = start.retain_gradient([batch])
                gradient = [
                    None if g is None or b is None or mean is None else g - b + mean
                    for g, b, mean in zip(gradient, before, means, strict=True)
                ]
            return [torch.zeros_like(w) if g is None else g for g, w in zip(gradient, metric, strict=True)]

        return of

    return {
        way: variance_and_mean(map(gradient_in(way), batches(way, sets.retain, process.levels, count, seed)), metric)
        for way in WAYS
    }


def digits_bench(targets: list[str]) -> Bench:
    """The digits as the ablation has them."""
    config = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))["parameters"]
    named = [{"kind": "class", "name": name} for name in targets]
    settings = BenchmarkSettings.model_validate(config["benchmark"] | {"targets": named})
    return Bench.named(config["base_model"], config["world"], config["judges"], settings)


def written(interval: Interval | None) -> str:
    """Three digits and the interval."""
    return "–" if interval is None else f"{interval.value:.3g} [{interval.low:.3g}–{interval.high:.3g}]"


def main() -> None:
    """Measure, print, and write the numbers down if asked."""
    parser = argparse.ArgumentParser(description="Variance of the retain gradient, side by side.")
    parser.add_argument("--targets", nargs="+", default=["zero", "three", "five", "seven"], metavar="CLASS")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2, 3, 4], metavar="SEED")
    parser.add_argument("--batches", type=int, default=24, help="of each way")
    parser.add_argument("--json", type=Path, default=None, help="write the numbers to this file")
    options = parser.parse_args()
    if options.batches < 2:
        parser.error(f"--batches is {options.batches}: a variance needs at least 2")
    bench = digits_bench(options.targets)
    rows: list[dict[str, object]] = []
    with progress_bar() as bar:
        task = bar.add_task("gradients", total=len(options.targets) * len(options.seeds) * len(STEPS), note="")
        for name in options.targets:
            target = TargetEntry(kind="class", name=name).resolve(bench.case.world)
            materials = Materials.of(bench, target)
            for seed in options.seeds:
                for steps in STEPS:
                    found = measure(bench, materials, steps, seed, options.batches)
                    rows += [
                        {"target": name, "seed": seed, "steps": steps, "way": way, "variance": v, "squared_mean": m}
                        for way, (v, m) in found.items()
                    ]
                    bar.advance(task)
    report(rows, options.json)


def report(rows: list[dict[str, object]], file: Path | None) -> None:
    """Print the table, and write it with every number behind it."""
    yardstick = {(r["target"], r["seed"], r["steps"]): float(r["variance"]) for r in rows if r["way"] == WAYS[0]}
    table = Table(title=f"Retain gradients of batches of {BATCH}, in the engine's metric: mean [95 % interval]")
    for heading in ("steps", "way", "variance, of independent", "variance / squared mean"):
        table.add_column(heading, justify="left" if heading == "way" else "right")
    summary = []
    for steps in STEPS:
        for way in WAYS:
            own = [r for r in rows if r["steps"] == steps and r["way"] == way]
            targets = [str(r["target"]) for r in own]
            ratios = [float(r["variance"]) / yardstick[r["target"], r["seed"], steps] for r in own]
            # Squared means are estimates too: their mean over cells is steadier than a mean of ratios.
            means = [float(r["squared_mean"]) for r in own]
            known = sum(means) > 0
            noise = [float(r["variance"]) / (sum(means) / len(means)) for r in own] if known else []
            both = mean_over_targets(ratios, targets), mean_over_targets(noise, targets if known else [])
            table.add_row(str(steps), way, *map(written, both))
            summary.append({"steps": steps, "way": way, "ratio": written(both[0]), "noise": written(both[1])})
    console = Console(width=110)
    console.print(table)
    facts = {"command": command(), **machine()}
    console.print(", ".join(f"{name} {value}" for name, value in facts.items()), highlight=False)
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(
            json.dumps({"facts": facts, "summary": summary, "rows": rows}, indent=1, ensure_ascii=False) + "\n",
            encoding="utf-8",
        )


if __name__ == "__main__":
    main()
