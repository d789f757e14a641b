"""The table as one HTML page that loads nothing and runs nothing, in the style of the reports."""

from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from jinja2 import ChoiceLoader, Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

import expunge.reports
from expunge.benchmark.columns import COLUMNS
from expunge.benchmark.runner import BenchmarkResults
from expunge.benchmark.table import BASE, CHANGE, DIFFERENCE, MEAN, failures, rows_of, written
from expunge.benchmark.table_charts import forgetting_curves, numbered, scatter
from expunge.benchmark.table_markdown import TITLES
from expunge.benchmark.table_notes import notes
from expunge.metrics.units import SHARE
from expunge.reports.rendering import CONTENT_POLICY

# Across, up, caption.
CHARTS = (
    ("unlearning_accuracy", "retain_accuracy", "Forgetting against retention: up and to the right is better."),
    ("seconds", "retain_accuracy", "Time against quality: up and to the left is better."),
    ("seconds", "unlearning_accuracy", "Time against forgetting: up and to the left is better."),
)


def as_page(results: BenchmarkResults, table: pd.DataFrame) -> str:
    """The page: for each comparison charts, means, changes and differences; tuning, failures, how it was measured."""
    folders = (Path(__file__).parent, Path(expunge.reports.__path__[0]) / "templates")
    environment = Environment(
        loader=ChoiceLoader([FileSystemLoader(folder) for folder in folders]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["share"] = SHARE.value
    return environment.get_template("table_page.html.j2").render(
        content_policy=CONTENT_POLICY,
        parts=[_part(results, table, comparison) for comparison in results.settings.comparisons],
        quantities=[COLUMNS[name] for name in dict.fromkeys(table["quantity"])],
        reference=results.settings.compare_with,
        tuning=results.tuning,
        failures=failures(results),
        notes=notes(results),
        facts=results.facts,
        settings=yaml.safe_dump(results.settings.model_dump(mode="json"), sort_keys=False, allow_unicode=True),
    )


def _part(results: BenchmarkResults, table: pd.DataFrame, comparison: str) -> dict[str, Any]:
    rows, reference = table[table["comparison"] == comparison], results.settings.compare_with
    plots: list[tuple[Markup, str]] = []
    for across, up, caption in CHARTS:
        plot = scatter(rows, across, up, reference)
        if plot is not None:
            plots.append((plot, f"{caption} Numbers as in the table; lines are 95 % intervals."))
    numbers = numbered([method for method in dict.fromkeys(rows["method"]) if method != BASE])
    captions = {
        MEAN: "Mean and 95 % interval over targets and seeds",
        CHANGE: "Change against the base model, paired",
        DIFFERENCE: f"Difference to {reference}, paired by target and seed",
    }
    return {
        "title": TITLES[comparison],
        "plots": plots,
        "curves": forgetting_curves([each for each in results.cells if each.comparison == comparison], reference),
        "tables": [(words, _rows(rows, of, reference, numbers)) for of, words in captions.items()],
    }


def _rows(rows: pd.DataFrame, of: str, reference: str, numbers: dict[str, int]) -> list[dict[str, Any]]:
    return [
        {
            "number": numbers.get(method, ""),
            "method": method,
            "cells": cells,
            "worst": written(COLUMNS["unlearning_accuracy"], float(first["worst_target"]))[0] if of == MEAN else "",
            "count": first["cells"],
            "failed": first["failed"],
        }
        for method, cells, first in rows_of(rows, of, reference)
    ]
