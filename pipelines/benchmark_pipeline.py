"""Unlearning methods on the same targets, data, budget and evaluation; their table says what else each has."""

from zenml import pipeline

from expunge.benchmark.benchmark_settings import BenchmarkSettings
from expunge.models.hardware import HardwareSettings
from expunge.takedown.request import TakedownBatch
from steps.benchmark_base import benchmark_base
from steps.benchmark_cells import benchmark_cells
from steps.benchmark_table import benchmark_table
from steps.draw_pool import draw_pool
from steps.resolve_case import resolve_case


@pipeline(dynamic=True, enable_cache=True)
def benchmark_pipeline(
    benchmark: BenchmarkSettings,
    base_model: str = "zoo",
    world: str = "zoo",
    judges: str = "zoo",
    folder: str = ".expunge/benchmark",
) -> None:
    """Compare methods and write the table to ``folder``. A benchmark that was stopped goes on where it was.

    Args:
        benchmark: methods, targets, seeds, budgets and sample sizes.
        base_model: ``zoo``, ``digits``, a diffusers folder, a hub id or an ``s3://`` URL.
        world: ``zoo``, ``digits`` or a YAML file: what the model draws, and in which words.
        judges: ``zoo``, ``digits`` or an open_clip model.
        folder: where the table and the result of each cell are kept.
    """
    base, facts = benchmark_base(base_model)
    case = resolve_case(world, judges, benchmark.drawing, TakedownBatch(requests=()), HardwareSettings(device="cpu"))
    pool = draw_pool(base, facts, case, benchmark.diversification)
    results = benchmark_cells(base, pool, case, benchmark, folder)
    benchmark_table(results, folder)
