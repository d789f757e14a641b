"""How the outcome depends on what is set: the landscape around the chosen point, before and after calibration.

    python benchmarks/landscape.py                       the class-conditional digits, about half an hour on one core
    python benchmarks/landscape.py --seeds 0 --targets zero three      a look

Two landscapes of the engine on the same targets, data and evaluation:

- given: a learning rate set by hand and a fixed number of passes, as one does without calibration; learning rate × λ.
- calibrated: the learning rate is measured at the start, the pace follows the checks, and the run ends when forgetting
  holds; λ × τ, the two settings that are left.

Written to ``benchmarks/results``: ``landscape.parquet`` (a row each cell), ``landscape.md`` and ``landscape.png``.
Cells are kept in a folder, so a run that was stopped goes on where it was.
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib
import pandas as pd
import yaml
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from expunge.benchmark.bench import Bench
from expunge.benchmark.benchmark_settings import BenchmarkSettings
from expunge.benchmark.machine import command, machine
from expunge.benchmark.runner import run_benchmark
from expunge.reports.plots import STYLE

CONFIG = Path("configs/ablation-digits.yaml")  # model, data, evaluation and what is not varied
LEARNING_RATES = (1.5e-4, 3e-4, 6e-4, 1.2e-3, 2.4e-3)
RETAIN_WEIGHTS = (1.0, 5.0, 25.0)
FORGET_THRESHOLDS = (0.5, 1.0, 2.0)
GIVEN_PASSES, CALIBRATED_PASSES = 60, 200
MEASURES = {"unlearning_accuracy": "UA", "retain_accuracy": "RA", "frechet_ratio": "FD ratio"}
AXES = {"learning_rate_given": "learning rate", "retain_weight": "λ", "forget_threshold": "τ"}


def entry(label: str, learning_rate: float | str, unlearning: dict[str, Any]) -> dict[str, Any]:
    """A row of the benchmark: the engine in one place of a landscape."""
    return {
        "method": "stepping_metric",
        "label": label,
        "learning_rate": learning_rate,
        "unlearning": {"alignment": "original", "forget": {"truncated": 1.0}} | unlearning,  # τ is its own
    }


def place(label: str) -> dict[str, float]:
    """``λ=5 τ=1`` → its coordinates."""
    names = {"η": "learning_rate_given", "λ": "retain_weight", "τ": "forget_threshold"}
    return {names[part[0]]: float(part[2:]) for part in label.split()}


def landscapes() -> list[tuple[str, float, dict[str, int], list[dict[str, Any]]]]:
    """Name, τ, comparison and rows of every benchmark to be run; those of one run share cached gradients, hence τ."""
    given = [
        entry(f"η={rate:g} λ={weight:g}", rate, {"retain_weight": weight, "pace": None})
        for rate in LEARNING_RATES
        for weight in RETAIN_WEIGHTS
    ]
    found = [("given", 1.0, {"equal_budget": GIVEN_PASSES}, given)]
    for threshold in FORGET_THRESHOLDS:
        rows = [
            entry(f"λ={weight:g} τ={threshold:g}", "measured", {"retain_weight": weight, "pace": {}})
            for weight in RETAIN_WEIGHTS
        ]
        found.append(("calibrated", threshold, {"equal_forgetting": CALIBRATED_PASSES}, rows))
    return found


def measure(targets: Sequence[str], seeds: Sequence[int], folder: Path) -> pd.DataFrame:
    """Every cell of both landscapes, a row each."""
    config = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))["parameters"]
    base: dict[str, Any] = config["benchmark"]
    base |= {"targets": [{"kind": "class", "name": name} for name in targets], "seeds": list(seeds)}
    bench: Bench | None = None
    frames = []
    for name, threshold, comparison, rows in landscapes():
        settings = BenchmarkSettings.model_validate(
            base
            | {"methods": rows, "comparisons": comparison, "compare_with": rows[0]["label"]}
            | {"unlearning": base["unlearning"] | {"forget_threshold": threshold}}
        )
        if bench is None:
            bench = Bench.named(config["base_model"], config["world"], config["judges"], settings)
        results = run_benchmark(replace(bench, settings=settings), folder)
        frames.append(pd.DataFrame({"landscape": name, **place(cell.method), **cell.row()} for cell in results.cells))
    return pd.concat(frames, ignore_index=True)


def grid_of(cells: pd.DataFrame, across: str, up: str, measure_name: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Mean over all cells of a place, and the range of the targets' means."""
    by_target = cells.groupby([up, across, "target"])[measure_name].mean()
    by_place = by_target.groupby([up, across])
    return by_place.mean().unstack(), (by_place.max() - by_place.min()).unstack()


def draw(axes: Axes, cells: pd.DataFrame, across: str, up: str, measure_name: str) -> None:
    """One heat map with its numbers: the mean, and below it the range between targets."""
    means, ranges = grid_of(cells, across, up, measure_name)
    share = measure_name != "frechet_ratio"
    limits = (0.0, 1.0) if share else (1.0, 4.0)
    axes.imshow(
        means, vmin=limits[0], vmax=limits[1], cmap="Blues" if share else "Oranges", aspect="auto", origin="lower"
    )
    for y, row in enumerate(means.to_numpy()):
        for x, value in enumerate(row):
            spread = ranges.to_numpy()[y, x]
            text = f"{100 * value:.0f} %\n± {50 * spread:.0f}" if share else f"{value:.2f}\n± {spread / 2:.2f}"
            dark = (value - limits[0]) / (limits[1] - limits[0]) > 0.6
            axes.text(x, y, text, ha="center", va="center", fontsize=7, color="white" if dark else "black")
    axes.set_xticks(range(len(means.columns)), [f"{each:g}" for each in means.columns])
    axes.set_yticks(range(len(means.index)), [f"{each:g}" for each in means.index])
    axes.set(xlabel=AXES[across], ylabel=AXES[up])
    axes.grid(False)
    axes.set_title(MEASURES[measure_name])


def picture(cells: pd.DataFrame) -> Figure:
    """Both landscapes, three quantities each."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(11, 5.6), layout="constrained")
        above, below = figure.subfigures(2, 1)
        sides = (
            (above, "given", "learning_rate_given", f"learning rate given, {GIVEN_PASSES} passes"),
            (below, "calibrated", "forget_threshold", "learning rate measured, run until forgetting holds"),
        )
        for part, name, across, title in sides:
            part.suptitle(f"{title}: mean, ± half the range between targets", fontsize=9)
            panels = part.subplots(1, len(MEASURES))
            for axes, quantity in zip(panels, MEASURES, strict=True):
                draw(axes, cells[cells["landscape"] == name], across, "retain_weight", quantity)
        return figure


def as_markdown(cells: pd.DataFrame) -> str:
    """A line each place: mean, and the worst and best target."""
    facts = {"command": command(), **machine(), "seeds": cells["seed"].nunique(), "targets": cells["target"].nunique()}
    lines = [
        "# The landscape around the chosen point",
        "",
        *(f"- {name}: {value}" for name, value in facts.items()),
        "",
    ]
    lines.append("![landscapes](landscape.png)")
    for name, part in cells.groupby("landscape", sort=False):
        lines += ["", f"## {str(name).capitalize()}", "", "| place | " + " | ".join(MEASURES.values()) + " | passes |"]
        lines.append("| --- |" + " --- |" * (len(MEASURES) + 1))
        for label, own in part.groupby("method", sort=False):
            means = own.groupby("target")[[*MEASURES, "passes"]].mean()
            texts = [f"{means[each].mean():.3g} [{means[each].min():.3g}–{means[each].max():.3g}]" for each in means]
            lines.append(f"| {label} | {' | '.join(texts)} |")
    lines += ["", "Each number: mean over targets and seeds [lowest and highest target]. UA and RA are shares."]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, and write the landscapes down."""
    parser = argparse.ArgumentParser(description="How the outcome depends on what is set.")
    parser.add_argument("--targets", nargs="+", default=["zero", "three", "five", "seven"], metavar="CLASS")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1], metavar="SEED")
    parser.add_argument("--folder", type=Path, default=Path(".expunge/landscape"), help="where cells are kept")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results"))
    options = parser.parse_args()
    cells = measure(options.targets, options.seeds, options.folder)
    options.output.mkdir(parents=True, exist_ok=True)
    cells.to_parquet(options.output / "landscape.parquet")
    (options.output / "landscape.md").write_text(as_markdown(cells), encoding="utf-8")
    picture(cells).savefig(options.output / "landscape.png", dpi=120)


if __name__ == "__main__":
    main()
