"""The table as Markdown."""

from collections.abc import Sequence

import pandas as pd

from expunge.benchmark.columns import COLUMNS
from expunge.benchmark.runner import BenchmarkResults
from expunge.benchmark.table import CHANGE, DIFFERENCE, MEAN, failures, rows_of, written
from expunge.benchmark.table_notes import notes
from expunge.benchmark.tuning import TunedRate
from expunge.markdown import markdown_table, safe
from expunge.metrics.units import SHARE

TITLES = {"equal_forgetting": "At equal forgetting", "equal_budget": "At equal budget"}


def as_markdown(results: BenchmarkResults, table: pd.DataFrame) -> str:
    """Means with intervals, changes, differences to the reference, tuning, failures, notes and facts."""
    reference = results.settings.compare_with
    parts = ["# Unlearning methods compared", "\n".join(f"- {name}: {value}" for name, value in results.facts.items())]
    for comparison in results.settings.comparisons:
        rows = table[table["comparison"] == comparison]
        parts += [f"## {TITLES[comparison]}", _part(rows, MEAN, reference), "Less the base model, paired:"]
        parts += [_part(rows, CHANGE, reference), f"Less {reference}, paired:", _part(rows, DIFFERENCE, reference)]
    if results.tuning:
        parts += ["## Learning rates tried", _tuning(results.tuning)]
    if failed := failures(results):
        parts += ["## Cells that failed", "\n".join(f"- {safe(line)}" for line in failed)]
    parts += ["## How it was measured", "\n".join(f"- {safe(line)}" for line in notes(results))]
    measured = [COLUMNS[name] for name in dict.fromkeys(table["quantity"])]
    parts.append("\n".join(f"- {quantity.label}: {quantity.note}" for quantity in measured))
    return "\n\n".join(parts) + "\n"


def _part(rows: pd.DataFrame, of: str, reference: str) -> str:
    labels = [COLUMNS[name].label for name in dict.fromkeys(rows["quantity"])]
    body = []
    for method, cells, first in rows_of(rows, of, reference):
        texts = [" ".join(filter(None, (value, f"[{ends}]" if ends else "", said))) for value, ends, said in cells]
        worst = written(COLUMNS["unlearning_accuracy"], float(first["worst_target"]))[0]
        counts = [worst, str(first["cells"]), str(first["failed"])] if of == MEAN else []
        body.append([method, *texts, *counts])
    return markdown_table(["method", *labels, *(["UA, worst target", "cells", "failed"] if of == MEAN else [])], body)


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
    return markdown_table(["method", "learning rate", "UA", "RA", "failed", "chosen"], body)
