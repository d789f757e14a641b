"""The table: every quantity of every method, mean and 95 % interval over targets and seeds, and against one of them."""

import math
from dataclasses import dataclass

import pandas as pd

from expunge.benchmark.benchmark_settings import Comparison
from expunge.benchmark.cell import CellResult
from expunge.benchmark.runner import BenchmarkResults
from expunge.benchmark.spread import mean_over_targets
from expunge.metrics.numbers import Interval
from expunge.metrics.units import COSINE, SHARE, Unit

BASE = "base model"
POINTS = Unit(100, ".1f", "", "")
NUMBER = Unit(1, ".3g", "", "")
WHOLE = Unit(1, ".0f", "", "")
EVERYTHING = (-math.inf, math.inf)


@dataclass(frozen=True)
class Quantity:
    """A column.

    Attributes:
        field: of ``CellResult``.
        label: how the table calls it.
        note: what it is, in a few words.
        unit: how values are written.
        bounds: what values can be.
        higher_is_better: None where neither is.
    """

    field: str
    label: str
    note: str
    unit: Unit
    bounds: tuple[float, float] = (0.0, math.inf)
    higher_is_better: bool | None = False


SHARES = (0.0, 1.0)
QUANTITIES = (
    Quantity("unlearning_accuracy", "UA", "unlearning accuracy, held-out prompts, %", POINTS, SHARES, True),
    Quantity("unlearning_accuracy_clip", "UA by CLIP", "the same by CLIP, zero-shot, %", POINTS, SHARES, True),
    Quantity("relearned", "UA, relearned", "lowest UA while fine-tuned on the target, %", POINTS, SHARES, True),
    Quantity("retain_accuracy", "RA", "retain accuracy, held-out prompts, %", POINTS, SHARES, True),
    Quantity("retain_accuracy_change", "RA change", "against the base model, points", POINTS, (-1.0, 1.0), True),
    Quantity("in_domain", "IRA", "RA of the target's own factor, %", POINTS, SHARES, True),
    Quantity("cross_domain", "CRA", "RA of the other factors, %", POINTS, SHARES, True),
    Quantity("frechet_ratio", "FD ratio", "Fréchet distance of retain pictures, times the base model's", NUMBER),
    Quantity("alignment_train_drop", "AS drop, train", "alignment score lost, train-level prompts", COSINE, EVERYTHING),
    Quantity("alignment_held_out_drop", "AS drop, held-out", "the same, held-out-level prompts", COSINE, EVERYTHING),
    Quantity("alignment_gap", "AS gap", "held-out drop less train drop", COSINE, EVERYTHING),
    Quantity("broken_promises", "Steps against first order", "that raise a loss to first order, %", POINTS, SHARES),
    Quantity("probe_rises", "Probe rises", "steps that raised either loss on the probe, %", POINTS, SHARES),
    Quantity("passes", "Passes", "batches forward and backward; forward alone counts a third", WHOLE),
    Quantity("checks", "Checks", "how often the target was looked for while unlearning", WHOLE),
    Quantity("seconds", "Seconds", "of unlearning, without checks", WHOLE),
    Quantity("peak_memory_mb", "Peak memory", "resident set, MB", WHOLE),
)  # fmt: skip
BY_FIELD = {quantity.field: quantity for quantity in QUANTITIES}
BEFORE = {"unlearning_accuracy": "unlearning_accuracy_before", "retain_accuracy": "retain_accuracy_before"}


def tabulate(results: BenchmarkResults) -> pd.DataFrame:
    """One row a comparison, method and quantity.

    Columns: comparison, method, quantity (a field of ``CellResult``), mean, low, high, worst_target (the worst of the
    targets' means; NaN where neither direction is better), cells, targets, failed, and difference, difference_low,
    difference_high, pairs, verdict: against ``compare_with`` on the same target and seed. ``verdict`` is ``higher``,
    ``lower`` or ``no difference``; None without an interval. The base model is a row of its own.
    """
    rows = []
    for comparison in results.settings.comparisons:
        cells = [each for each in results.cells if each.comparison == comparison]
        done = [each for each in cells if each.status == "done"]
        for field, before in BEFORE.items():
            rows.append(_row(comparison, BASE, BY_FIELD[field], done, before))
        for method in dict.fromkeys(each.method for each in cells):
            own = [each for each in cells if each.method == method]
            for quantity in QUANTITIES:
                row = _row(comparison, method, quantity, [e for e in own if e.status == "done"], quantity.field)
                row["failed"] = sum(each.status == "failed" for each in own)
                if method != results.settings.compare_with:
                    row |= _difference(quantity, own, [e for e in done if e.method == results.settings.compare_with])
                rows.append(row)
    return pd.DataFrame(rows, columns=COLUMNS).astype(dict.fromkeys(NUMBERS, "float64"))


COLUMNS = ["comparison", "method", "quantity", "mean", "low", "high", "worst_target", "cells", "targets", "failed",
           "difference", "difference_low", "difference_high", "pairs", "verdict"]  # fmt: skip


NUMBERS = ["mean", "low", "high", "worst_target", "difference", "difference_low", "difference_high"]


def _row(
    comparison: Comparison, method: str, quantity: Quantity, cells: list[CellResult], field: str
) -> dict[str, object]:
    measured = [(float(value), each.target) for each in cells if (value := getattr(each, field)) is not None]
    values, targets = [value for value, _ in measured], [target for _, target in measured]
    interval = mean_over_targets(values, targets, quantity.bounds)
    return {
        "comparison": comparison,
        "method": method,
        "quantity": quantity.field,
        **_numbers(interval, ""),
        "worst_target": _worst(values, targets, quantity),
        "cells": len(values),
        "targets": len(set(targets)),
        "failed": 0,
    }


def _worst(values: list[float], targets: list[str], quantity: Quantity) -> float | None:
    if not values or quantity.higher_is_better is None:
        return None
    means = pd.Series(values).groupby(pd.Series(targets)).mean()
    return float(means.min() if quantity.higher_is_better else means.max())


def _difference(quantity: Quantity, own: list[CellResult], reference: list[CellResult]) -> dict[str, object]:
    """Own − reference, cell by cell of one target and seed."""
    theirs = {(each.kind, each.target, each.seed): getattr(each, quantity.field) for each in reference}
    pairs = [
        (float(value) - float(other), each.target)
        for each in own
        if (value := getattr(each, quantity.field)) is not None
        and (other := theirs.get((each.kind, each.target, each.seed))) is not None
    ]
    interval = mean_over_targets([value for value, _ in pairs], [target for _, target in pairs])
    return {**_numbers(interval, "difference"), "pairs": len(pairs), "verdict": verdict(interval)}


def _numbers(interval: Interval | None, prefix: str) -> dict[str, object]:
    names = ("difference", "difference_low", "difference_high") if prefix else ("mean", "low", "high")
    values = (interval.value, interval.low, interval.high) if interval else (None, None, None)
    return dict(zip(names, values, strict=True))


def verdict(interval: Interval | None) -> str | None:
    """What an interval of a difference says; None where there is none."""
    if interval is None or not math.isfinite(interval.low):
        return None
    if interval.low > 0:
        return "higher"
    return "lower" if interval.high < 0 else "no difference"


def written(
    quantity: Quantity, mean: float, low: float = math.nan, high: float = math.nan, signed: bool = False
) -> tuple[str, str]:
    """A mean and its interval as people read them, e.g. ``98.3`` and ``95.1–99.6``; empty where there is none."""
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


def notes(results: BenchmarkResults) -> list[str]:
    """How the numbers came about, in sentences."""
    s, share = results.settings, SHARE.value
    stop = s.unlearn_settings(s.entries[0]).stop_at
    budget = {
        "equal_forgetting": "Equal forgetting: up to {} passes; a run ends when two checks in a row find at least "
        f"{share(stop)} of the target forgotten.",
        "equal_budget": "Equal budget: {} passes for every method, as far as they divide into its steps.",
    }
    said = [budget[name].format(passes) for name, passes in s.comparisons.items()]
    features = next((each.frechet_features for each in results.cells if each.frechet_features), "not measured")
    changes = "A seed changes batches, noise and timesteps"
    pictures = ", and the pictures judged; data stay." if s.evaluation_varies else "; data and pictures judged stay."
    said += [
        f"{len(s.targets)} targets ({', '.join(f'{each.kind} {each.name}' for each in s.targets)}) and "
        f"{len(s.seeds)} seeds. {changes}{pictures}",
        "Intervals: t over the targets' means, cut at what is possible. Where all cells agree an interval has no "
        "width; that is no certainty. Differences are paired by target and seed.",
        f"Evaluation, reduced: {s.evaluation.target_pictures} pictures of the target, up to "
        f"{s.evaluation.retain_pictures} held-out and {s.evaluation.train_pictures} train-level retain pictures a "
        f"cell, {s.evaluation_drawing.steps} sampling steps. FD features: {features}.",
        f"A check draws {s.check.pictures} pictures of the target, train-level prompts, every {s.check_passes} passes "
        "or so; with a pace, also when the forget loss says so. Checks count neither as passes nor as seconds.",
        "Passes and seconds of the cached gradients at θ₀ count for the methods that read them."
        if s.count_cache
        else "Passes and seconds of the cached gradients at θ₀ do not count.",
        "Steps against first order are not given for methods that do not know both losses' gradients.",
    ]
    if s.relearning:
        said.append(
            f"UA, relearned: a copy is fine-tuned with Adam on {s.relearning.pictures[0]} pictures of the forget set, "
            f"{s.relearning.steps} steps of {s.relearning.batch_size} at {s.relearning.learning_rate:g}, and judged by "
            f"{s.relearning.measured} held-out pictures every {s.relearning.measure_every} steps."
        )
    if s.probed_seeds:
        seeds = ", ".join(map(str, s.probed_seeds))
        said.append(f"The probe was measured after each step with seed {seeds}; seconds are of the other seeds.")
    if s.tuning:
        said.append(
            f"Learning rates: {', '.join(f'{rate:g}' for rate in s.tuning.learning_rates)} tried for every method on "
            f"{', '.join(f'{each.kind} {each.name}' for each in s.tuning.targets)}, seed {s.tuning.seed}, "
            f"{s.tuning.comparison.replace('_', ' ')}; of those whose UA reached "
            f"{share(s.tuning.unlearning_accuracy_at_least)} the one with the highest RA was taken, else the one with "
            "the highest UA."
        )
    return said
