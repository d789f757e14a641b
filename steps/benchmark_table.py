"""Put the benchmark's results into one table."""

from pathlib import Path
from typing import Annotated

import pandas as pd
from zenml import step
from zenml.types import HTMLString, MarkdownString

import materializers  # noqa: F401
from expunge.benchmark.runner import BenchmarkResults
from expunge.benchmark.table_files import write_table


@step(enable_cache=False)
def benchmark_table(
    results: BenchmarkResults, folder: str
) -> tuple[
    Annotated[pd.DataFrame, "benchmark_table"],
    Annotated[MarkdownString, "benchmark_markdown"],
    Annotated[HTMLString, "benchmark_page"],
]:
    """Means with 95 % intervals, differences, plots: as artifacts, and as files in the folder."""
    table = write_table(results, Path(folder))
    return table.frame, MarkdownString(table.markdown), HTMLString(table.html)
