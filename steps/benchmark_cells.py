"""Run every method on every target with every seed."""

from pathlib import Path
from typing import Annotated

from zenml import step

from expunge.benchmark.materials import Bench
from expunge.benchmark.run import BenchmarkResults, run_benchmark
from expunge.benchmark.settings import BenchmarkSettings
from expunge.metrics.judges import load_panel
from expunge.models.class_conditional import ClassConditional
from expunge.models.picture_set import PictureSet
from expunge.models.stable_diffusion import StableDiffusion
from expunge.prompts.sources import load_prompt_grid


@step(enable_cache=False)
def benchmark_cells(
    base: StableDiffusion | ClassConditional,
    pool: PictureSet,
    prompt_grid: str,
    judges: str,
    settings: BenchmarkSettings,
    folder: str,
) -> Annotated[BenchmarkResults, "benchmark_results"]:
    """One step, because each cell is on disk as soon as it is done: a stopped benchmark goes on where it was."""
    grid = load_prompt_grid(prompt_grid)
    bench = Bench(base, pool, grid, load_panel(judges, grid), settings)
    return run_benchmark(bench, judges, Path(folder) / "cells")
