"""Run every method on every target with every seed."""

from pathlib import Path
from typing import Annotated

from zenml import step

import materializers  # noqa: F401
from expunge.benchmark.benchmark_settings import BenchmarkSettings
from expunge.benchmark.materials import Bench
from expunge.benchmark.runner import BenchmarkResults, run_benchmark
from expunge.judges.load_panel import load_panel
from expunge.models.adapter import ModelAdapter
from expunge.pictures.picture_set import PictureSet
from expunge.prompts.load_world import load_world


@step(enable_cache=False)
def benchmark_cells(
    base: ModelAdapter,
    pool: PictureSet,
    world: str,
    judges: str,
    settings: BenchmarkSettings,
    folder: str,
) -> Annotated[BenchmarkResults, "benchmark_results"]:
    """One step, because each cell is on disk as soon as it is done: a stopped benchmark goes on where it was."""
    world = load_world(world)
    bench = Bench(base, pool, world, load_panel(judges, world), settings)
    return run_benchmark(bench, judges, Path(folder) / "cells")
