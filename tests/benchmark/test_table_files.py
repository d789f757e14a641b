"""The table in its forms: parquet, Markdown, and a page that loads nothing and runs nothing."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from expunge.benchmark.cell import CellResult
from expunge.benchmark.columns import COLUMNS
from expunge.benchmark.runner import BenchmarkResults
from expunge.benchmark.table_charts import mean_curve
from expunge.benchmark.table_files import BenchmarkTable, write_table
from expunge.benchmark.tuning import choose_rates
from tests.benchmark.bench import CAT, DOG, result_maker, small
from tests.reports.conftest import Page

ATTACK = '<script src="https://x.example/a.js">alert(1)</script>|'
METHODS = ("stepping_metric", "RGD", ATTACK[:60])


def made_results() -> BenchmarkResults:
    """Two comparisons, three methods (one with a hostile label), two targets, one failure, tuning."""
    make, rng = result_maker(), np.random.default_rng(0)
    cells: list[CellResult] = []
    for comparison in ("equal_forgetting", "equal_budget"):
        for number, method in enumerate(METHODS):
            for target in ("cat", "dog"):
                measured = {name: float(rng.uniform(0.1, 0.9)) for name in COLUMNS}
                before = {"unlearning_accuracy_before": 0.1, "retain_accuracy_before": 0.9}
                curve = ((0, 0.1), (20 + number, 0.5), (40 + number, 0.9))
                more = {"comparison": comparison, "curve": curve, "frechet_features": "zoo-clip, 64 features"}
                cells.append(make(method, target, **more, **before, **measured))
    cells.append(make("RGD", "dog", 1, status="failed", error=ATTACK))
    tuned = [
        make("RGD", learning_rate=rate, unlearning_accuracy=rate, retain_accuracy=0.5, status="done")
        for rate in (0.25, 0.5)
    ]
    return BenchmarkResults(
        settings=small(
            methods=[{"method": "gradient_ascent", "label": label} for label in METHODS],
            targets=[CAT, DOG],
            seeds=[0, 1],
        ),
        cells=tuple(cells),
        tuning=tuple(choose_rates(tuned, 0.9)),
        facts={"model": "abc", "command": "zenml pipeline run x", "processor": "some", "date": "2026-11-24"},
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("table") / "new"


@pytest.fixture(scope="module")
def table(folder: Path) -> BenchmarkTable:
    return write_table(made_results(), folder)


def test_the_files_hold_what_was_returned(table: BenchmarkTable, folder: Path) -> None:
    pd.testing.assert_frame_equal(pd.read_parquet(folder / "table.parquet"), table.frame, check_dtype=False)
    cells = pd.read_parquet(folder / "cells.parquet")
    assert len(cells) == 13 and {"method", "status", *COLUMNS, "retain_accuracy_before"} <= set(cells.columns)
    assert [list(point) for point in cells["curve"][0]] == [[0, 0.1], [20, 0.5], [40, 0.9]]
    assert (folder / "table.md").read_text(encoding="utf-8") == table.markdown
    assert (folder / "table.html").read_text(encoding="utf-8") == table.html


def test_the_page_loads_nothing_and_runs_nothing(table: BenchmarkTable) -> None:
    page = Page(table.html)
    names = {name for name, _ in page.elements}
    assert not names & {"script", "iframe", "object", "embed", "img"}
    links = [value for _, attributes in page.elements for key, value in attributes.items() if key in ("href", "src")]
    assert all(link.startswith(("data:", "#")) for link in links)
    assert re.findall(r"url\((?!#)|@import|https?://(?!x\.example)", table.html) == []
    policies = [a["content"] for name, a in page.elements if name == "meta" and "http-equiv" in a]
    assert len(policies) == 1 and policies[0].startswith("default-src 'none'")
    assert page.text.count(ATTACK[:60]) >= 4  # shown as text, in the tables of both comparisons


def test_the_page_has_plots_and_tables_for_both_comparisons(table: BenchmarkTable) -> None:
    page = Page(table.html)
    labels = [attributes["aria-label"] for name, attributes in page.elements if name == "svg"]
    assert len(labels) == 8
    for start in ("RA, % against UA, %", "RA, % against Seconds"):
        assert sum(label.startswith(start) for label in labels) == 2
    assert sum(label.startswith("Share forgotten at the checks against passes.") for label in labels) == 2
    assert [a["aria-label"] for name, a in page.elements if name == "section"] == [
        "At equal forgetting",
        "At equal budget",
        "Learning rates tried",
        "Cells that failed",
        "How it was measured",
    ]
    assert "zenml pipeline run x" in page.text and "zoo-clip, 64 features" in page.text
    assert "nan" not in page.text.lower().replace("finance", "")


def test_the_markdown_has_a_line_for_each_method_and_no_markup_of_others(table: BenchmarkTable) -> None:
    lines = table.markdown.splitlines()
    assert [line for line in lines if line.startswith("## ")] == [
        "## At equal forgetting",
        "## At equal budget",
        "## Learning rates tried",
        "## Cells that failed",
        "## How it was measured",
    ]
    assert sum(line.startswith("| stepping_metric |") for line in lines) == 2 * 2  # no difference to itself
    assert sum(line.startswith("| RGD |") for line in lines) == 2 * 3 + 2
    assert sum(line.startswith("| base model |") for line in lines) == 2
    assert "<script" not in table.markdown
    for first, line in zip(lines, lines[1:], strict=False):
        if first.startswith("|") and line.startswith("|"):
            assert len(re.findall(r"(?<!\\)\|", first)) == len(re.findall(r"(?<!\\)\|", line))
    assert "| RGD | 0.5 | 50.0 % | 50.0 % | 0 | yes |" in table.markdown.replace("\u00a0", " ")


def test_a_mean_curve_keeps_what_a_run_that_ended_had_reached() -> None:
    curve = mean_curve([((0, 0.0), (10, 1.0)), ((0, 0.0), (20, 0.5)), ((0, 0.3),)])
    assert curve[0].tolist() == [0, 0] and curve[-1].tolist() == [20, pytest.approx(75)]
    halfway = np.interp(10, curve[:, 0], curve[:, 1])
    assert halfway == pytest.approx(100 * (1 + 0.25) / 2, abs=1)
    assert len(mean_curve([])) == 0


def test_a_benchmark_without_numbers_is_still_a_table(tmp_path: Path) -> None:
    make = result_maker()
    results = made_results().model_copy(
        update={"cells": (make("stepping_metric", status="failed", error="no"),), "tuning": ()}
    )
    table = write_table(results, tmp_path)
    assert "stepping_metric, cat, seed 0, equal_budget: no" in Page(table.html).text
    assert "<svg" not in table.html and "nan" not in table.markdown
