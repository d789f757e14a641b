"""Write a benchmark down: table and cells as parquet, the table as Markdown and as a page."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from expunge.benchmark.runner import BenchmarkResults
from expunge.benchmark.table import tabulate
from expunge.benchmark.table_markdown import as_markdown
from expunge.benchmark.table_page import as_page


@dataclass(frozen=True)
class BenchmarkTable:
    """The table in its three forms."""

    frame: pd.DataFrame
    markdown: str
    html: str


def write_table(results: BenchmarkResults, folder: Path) -> BenchmarkTable:
    """Write ``table.parquet``, ``cells.parquet``, ``table.md`` and ``table.html`` into the folder, made if need be."""
    frame = tabulate(results)
    table = BenchmarkTable(frame, as_markdown(results, frame), as_page(results, frame))
    folder.mkdir(parents=True, exist_ok=True)
    frame.to_parquet(folder / "table.parquet")
    pd.DataFrame([each.row() for each in results.cells]).to_parquet(folder / "cells.parquet")
    (folder / "table.md").write_text(table.markdown, encoding="utf-8")
    (folder / "table.html").write_text(table.html, encoding="utf-8")
    return table
