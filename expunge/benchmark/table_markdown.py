"""The table as Markdown."""

from collections.abc import Iterable, Sequence

import pandas as pd

from expunge.benchmark.runner import BenchmarkResults
from expunge.benchmark.table import BASE, QUANTITIES, Quantity, failures, notes, written
from expunge.benchmark.tuning import TunedRate
from expunge.metrics.units import SHARE

TITLES = {"equal_forgetting": "At equal forgetting", "equal_budget": "At equal budget"}


def as_markdown(results: BenchmarkResults, table: pd.DataFrame) -> str:
    """Means with intervals, differences to the reference, tuning, failures, notes and facts."""
    parts = ["# Unlearning methods compared", "\n".join(f"- {name}: {value}" for name, value in results.facts.items())]
    for comparison in results.settings.comparisons:
        rows = table[table["comparison"] == comparison]
        parts += [f"## {TITLES[comparison]}", _means(rows), f"Less {results.settings.compare_with}, paired:"]
        parts.append(_differences(rows, results.settings.compare_with))
    if results.tuning:
        parts += ["## Learning rates tried", _tuning(results.tuning)]
    if failed := failures(results):
        parts += ["## Cells that failed", "\n".join(f"- {_safe(line)}" for line in failed)]
    parts += ["## How it was measured", "\n".join(f"- {_safe(line)}" for line in notes(results))]
    parts.append("\n".join(f"- {quantity.label}: {quantity.note}" for quantity in QUANTITIES))
    return "\n\n".join(parts) + "\n"


def _means(rows: pd.DataFrame) -> str:
    def cell(quantity: Quantity, row: pd.Series) -> str:
        value, interval = written(quantity, row["mean"], row["low"], row["high"])
        return f"{value} [{interval}]" if interval else value

    worst = rows[rows["quantity"] == "unlearning_accuracy"].set_index("method")["worst_target"]
    head = ["method", *(quantity.label for quantity in QUANTITIES), "UA, worst target", "cells", "failed"]
    body = []
    for method in dict.fromkeys(rows["method"]):
        own = rows[rows["method"] == method].set_index("quantity")
        first = own.loc["unlearning_accuracy"]
        cells = [cell(each, own.loc[each.field]) if each.field in own.index else "–" for each in QUANTITIES]
        lowest = written(QUANTITIES[0], float(worst[method]))[0]
        body.append([method, *cells, lowest, str(first["cells"]), str(first["failed"])])
    return _table(head, body)


def _differences(rows: pd.DataFrame, reference: str) -> str:
    body = []
    for method in dict.fromkeys(rows["method"]):
        if method in (BASE, reference):
            continue
        own = rows[rows["method"] == method].set_index("quantity")
        cells = []
        for quantity in QUANTITIES:
            row = own.loc[quantity.field]
            bounds = row["difference_low"], row["difference_high"]
            value, interval = written(quantity, row["difference"], *bounds, signed=True)
            said = f" {row['verdict']}" if isinstance(row["verdict"], str) else ""
            cells.append(f"{value} [{interval}]{said}" if interval else value)
        body.append([method, *cells])
    return _table(["method", *(quantity.label for quantity in QUANTITIES)], body)


def _tuning(tuning: Sequence[TunedRate]) -> str:
    def share(value: float | None) -> str:
        return "–" if value is None else SHARE.value(value)

    body = [
        [
            each.method,
            f"{each.learning_rate:g}",
            share(each.unlearning_accuracy),
            share(each.retain_accuracy),
            str(each.failed),
            "yes" if each.chosen else "",
        ]
        for each in tuning
    ]
    return _table(["method", "learning rate", "UA", "RA", "failed", "chosen"], body)


def _table(head: Sequence[str], body: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *body]
    return "\n".join(f"| {' | '.join(_safe(cell) for cell in line)} |" for line in lines)


def _safe(text: str) -> str:
    """On one line, without a column's end or markup."""
    return " ".join(text.replace("|", "\\|").replace("<", "&lt;").split())
