"""Run every method on every target with every seed."""

from pathlib import Path
from typing import Annotated

from zenml import step

import materializers  # noqa: F401
from expunge.benchmark.bench import Bench
from expunge.benchmark.benchmark_settings import BenchmarkSettings
from expunge.benchmark.runner import BenchmarkResults, run_benchmark
from expunge.case import Case
from expunge.models.text_to_image import TextToImage
from expunge.pictures.picture_set import PictureSet


@step(enable_cache=False)
def benchmark_cells(
    base: TextToImage, pool: PictureSet, case: Case, settings: BenchmarkSettings, folder: str
) -> Annotated[BenchmarkResults, "benchmark_results"]:
    """One step, because each cell is on disk as soon as it is done: a stopped benchmark goes on where it was."""
    return run_benchmark(Bench(base, case, pool, settings), Path(folder))
