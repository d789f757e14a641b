"""The table as one HTML page that loads nothing and runs nothing, in the style of the reports."""

from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from jinja2 import ChoiceLoader, Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

import expunge.reports
from expunge.benchmark.runner import BenchmarkResults
from expunge.benchmark.table import BASE, BY_FIELD, QUANTITIES, failures, notes, written
from expunge.benchmark.table_charts import forgetting_curves, numbered, scatter
from expunge.benchmark.table_markdown import TITLES
from expunge.metrics.units import SHARE
from expunge.reports.rendering import CONTENT_POLICY

# Across, up, titles of the axes, factors, caption.
CHARTS = (
    (
        "unlearning_accuracy",
        "retain_accuracy",
        ("unlearning accuracy, %", "retain accuracy, %"),
        (100.0, 100.0),
        "Forgetting against retention: up and to the right is better.",
    ),
    (
        "seconds",
        "retain_accuracy",
        ("seconds of unlearning", "retain accuracy, %"),
        (1.0, 100.0),
        "Time against quality: up and to the left is better.",
    ),
    (
        "seconds",
        "unlearning_accuracy",
        ("seconds of unlearning", "unlearning accuracy, %"),
        (1.0, 100.0),
        "Time against forgetting: up and to the left is better.",
    ),
)


def as_page(results: BenchmarkResults, table: pd.DataFrame) -> str:
    """The page: for each comparison charts, means and differences; then tuning, failures and how it was measured."""
    folders = (Path(__file__).parent, Path(expunge.reports.__path__[0]) / "templates")
    environment = Environment(
        loader=ChoiceLoader([FileSystemLoader(folder) for folder in folders]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["share"] = SHARE.value
    return environment.get_template("page.html.j2").render(
        content_policy=CONTENT_POLICY,
        parts=[_part(results, table, comparison) for comparison in results.settings.comparisons],
        quantities=QUANTITIES,
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
    for across, up, titles, factors, caption in CHARTS:
        plot = scatter(rows, across, up, titles, reference, factors)
        if plot is not None:
            plots.append((plot, f"{caption} Numbers as in the table; lines are 95 % intervals."))
    return {
        "title": TITLES[comparison],
        "plots": plots,
        "curves": forgetting_curves([each for each in results.cells if each.comparison == comparison], reference),
        "tables": [
            ("Mean and 95 % interval over targets and seeds", _rows(rows, "")),
            (f"Difference to {reference}, paired by target and seed", _rows(rows, reference)),
        ],
    }


def _rows(rows: pd.DataFrame, reference: str) -> list[dict[str, Any]]:
    """Means, or with a reference the differences to it."""
    methods = list(dict.fromkeys(rows["method"]))
    numbers, found = numbered(methods), []
    for method in methods:
        if reference and method in (BASE, reference):
            continue
        own = rows[rows["method"] == method].set_index("quantity")
        first = own.loc["unlearning_accuracy"]
        found.append(
            {
                "number": numbers.get(method, ""),
                "method": method,
                "cells": [_cell(own, field, bool(reference)) for field in BY_FIELD],
                "worst": "" if reference else written(QUANTITIES[0], float(first["worst_target"]))[0],
                "count": first["cells"],
                "failed": first["failed"],
            }
        )
    return found


def _cell(own: pd.DataFrame, field: str, difference: bool) -> tuple[str, str, str]:
    """Value, interval and verdict."""
    if field not in own.index:
        return "–", "", ""
    row, names = own.loc[field], ("difference", "difference_low", "difference_high")
    mean, low, high = (float(row[name]) for name in (names if difference else ("mean", "low", "high")))
    value, interval = written(BY_FIELD[field], mean, low, high, signed=difference)
    return value, interval, row["verdict"] if difference and isinstance(row["verdict"], str) else ""
