"""The table: every quantity of every method, mean and 95 % interval over targets and seeds, and its differences."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd

from expunge.benchmark.cell import CellResult
from expunge.benchmark.columns import COLUMNS, bounds
from expunge.benchmark.runner import BenchmarkResults
from expunge.benchmark.spread import mean_over_targets, p_value_over_targets
from expunge.benchmark.verdicts import holm, verdict
from expunge.metrics.numbers import Interval
from expunge.metrics.quantities import Quantity

BASE = "base model"
MEAN, CHANGE, DIFFERENCE = "mean", "change", "difference"
HEAD = ["comparison", "method", "quantity"]
NUMBERS = [f"{of}{end}" for of in (MEAN, CHANGE, DIFFERENCE) for end in ("", "_low", "_high")]
FRAME = [*HEAD, *NUMBERS, "worst_target", "cells", "targets", "failed", "pairs", "p_value", "verdict"]
Numbers = list[tuple[float, str]]  # each with its target


def quantities_in(cells: Sequence[CellResult]) -> list[Quantity]:
    """What any of the cells measured, in the order of ``COLUMNS``."""
    return [quantity for name, quantity in COLUMNS.items() if any(name in each.numbers for each in cells)]


def tabulate(results: BenchmarkResults) -> pd.DataFrame:
    """One row a comparison, method and quantity.

    Columns: comparison, method, quantity (a name in ``COLUMNS``), mean; change, against the base model, paired;
    difference, against ``compare_with`` on the same target and seed; each with ``_low`` and ``_high``.
    worst_target (the worst of the targets' means; NaN where neither direction is better), cells, targets, failed, pairs
    (of the difference), p_value (that there is none, corrected by Holm for all methods) and verdict, see `verdict`. The
    base model is a row of its own.
    """
    rows: list[dict[str, Any]] = []
    quantities = quantities_in(results.cells)
    for comparison in results.settings.comparisons:
        cells = [each for each in results.cells if each.comparison == comparison]
        reference = [each for each in cells if each.method == results.settings.compare_with]
        for method in (BASE, *dict.fromkeys(each.method for each in cells)):
            own = cells if method == BASE else [each for each in cells if each.method == method]
            for quantity in quantities:
                found = _base(quantity, own) if method == BASE else _method(quantity, own, reference)
                if found:
                    rows.append({"comparison": comparison, "method": method, "quantity": quantity.name, **found})
        for quantity in quantities:
            _judge(
                [row for row in rows if (row["comparison"], row["quantity"]) == (comparison, quantity.name)], quantity
            )
    frame = pd.DataFrame(rows, columns=FRAME)
    return frame.astype(dict.fromkeys([*NUMBERS, "worst_target", "p_value"], "float64"))


def _judge(rows: list[dict[str, Any]], quantity: Quantity) -> None:
    """Correct the p-values of one quantity for all methods, and say what each difference says; in place."""
    tested = [row for row in rows if math.isfinite(row.get("p_value", math.nan))]
    for row, p_value in zip(tested, holm([row["p_value"] for row in tested]), strict=True):
        value, low, high = (row[f"{DIFFERENCE}{end}"] for end in ("", "_low", "_high"))
        row["p_value"] = p_value
        row["verdict"] = verdict(Interval(value=value, low=low, high=high, samples=row["pairs"]), p_value, quantity)


def _base(quantity: Quantity, cells: list[CellResult]) -> dict[str, object]:
    measured = [(each.before[quantity.name], each.target) for each in cells if quantity.name in each.before]
    return _means(quantity, measured) | {"failed": 0} if measured else {}


def _method(quantity: Quantity, own: list[CellResult], reference: list[CellResult]) -> dict[str, object]:
    name = quantity.name
    before = _paired(name, own, lambda each: each.before.get(name))
    row = _means(quantity, [(each.numbers[name], each.target) for each in own if name in each.numbers])
    row |= _interval(CHANGE, mean_over_targets(*_split(before)))
    row["failed"] = sum(each.status == "failed" for each in own)
    if own[0].method != (reference[0].method if reference else None):
        theirs = {(each.kind, each.target, each.seed): each.numbers.get(name) for each in reference}
        pairs = _paired(name, own, lambda each: theirs.get((each.kind, each.target, each.seed)))
        row |= {**_interval(DIFFERENCE, mean_over_targets(*_split(pairs))), "pairs": len(pairs)}
        row["p_value"] = p_value_over_targets(*_split(pairs))
    return row


def _means(quantity: Quantity, measured: Numbers) -> dict[str, object]:
    values, targets = _split(measured)
    return {
        **_interval(MEAN, mean_over_targets(values, targets, bounds(quantity))),
        "worst_target": _worst(values, targets, quantity),
        "cells": len(values),
        "targets": len(set(targets)),
    }


def _paired(name: str, cells: list[CellResult], other: Callable[[CellResult], float | None]) -> Numbers:
    """Own number less another's, cell by cell, where both are known."""
    return [
        (each.numbers[name] - value, each.target)
        for each in cells
        if name in each.numbers and (value := other(each)) is not None
    ]


def _split(numbers: Numbers) -> tuple[list[float], list[str]]:
    return [value for value, _ in numbers], [target for _, target in numbers]


def _worst(values: list[float], targets: list[str], quantity: Quantity) -> float | None:
    if not values or quantity.better is None:
        return None
    means = pd.Series(values).groupby(pd.Series(targets)).mean()
    return float(means.min() if quantity.better == "higher" else means.max())


def _interval(of: str, interval: Interval | None) -> dict[str, object]:
    values = (interval.value, interval.low, interval.high) if interval else (None, None, None)
    return dict(zip((of, f"{of}_low", f"{of}_high"), values, strict=True))


def rows_of(rows: pd.DataFrame, of: str, reference: str) -> list[tuple[str, list[tuple[str, str, str]], pd.Series]]:
    """What is written of one comparison, a method a row: its name, its cells, and its row of UA.

    Args:
        rows: of one comparison, as ``tabulate`` gives them.
        of: ``mean``, ``change`` or ``difference``.
        reference: of the differences.

    Returns:
        Each cell: value, interval and verdict, empty where there are none.
    """
    left_out = {MEAN: set(), CHANGE: {BASE}, DIFFERENCE: {BASE, reference}}[of]
    names, found = list(dict.fromkeys(rows["quantity"])), []
    for method in dict.fromkeys(rows["method"]):
        if method not in left_out:
            own = rows[rows["method"] == method].set_index("quantity")
            first = own.loc["unlearning_accuracy"] if "unlearning_accuracy" in own.index else own.iloc[0]
            found.append((method, [_cell(own, name, of) for name in names], first))
    return found


def _cell(own: pd.DataFrame, name: str, of: str) -> tuple[str, str, str]:
    if name not in own.index:
        return "–", "", ""
    row = own.loc[name]
    mean, low, high = (float(row[f"{of}{end}"]) for end in ("", "_low", "_high"))
    said = row["verdict"] if of == DIFFERENCE and isinstance(row["verdict"], str) else ""
    return *written(COLUMNS[name], mean, low, high, signed=of != MEAN), said


def written(
    quantity: Quantity, mean: float, low: float = math.nan, high: float = math.nan, signed: bool = False
) -> tuple[str, str]:
    """A mean and its interval as people read them, e.g. ``98.3 %`` and ``95.1–99.6``; empty where there is none."""
    if not math.isfinite(mean):
        return "–", ""
    unit = quantity.unit
    value = unit.difference(mean) if signed else unit.value(mean)
    if not math.isfinite(low):
        return value, ""
    return value, unit.range(Interval(value=mean, low=low, high=high, samples=0), signed)


def failures(results: BenchmarkResults) -> list[str]:
    """A line for each cell that an error ended."""
    return [
        f"{each.method}, {each.target}, seed {each.seed}, {each.comparison}: {each.error}"
        for each in results.cells
        if each.status == "failed"
    ]
