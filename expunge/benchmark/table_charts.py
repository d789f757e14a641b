"""The table's pictures: forgetting against retention, time against quality, forgetting against passes."""

import math
from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from markupsafe import Markup
from matplotlib.figure import Figure

from expunge.benchmark.cell import CellResult
from expunge.benchmark.columns import COLUMNS
from expunge.benchmark.table import BASE
from expunge.metrics.units import SHARE
from expunge.reports.plots import AFTER, BEFORE, INK, MUTED, STYLE, svg

WIDTH = 4.6  # inches
ABREAST = 3  # small charts of curves
POINTS = 60  # at which curves of several cells are averaged


def numbered(methods: Sequence[str]) -> dict[str, int]:
    """Methods by the number that stands for them in the charts, from 1."""
    return {method: number for number, method in enumerate(methods, 1)}


def scatter(rows: pd.DataFrame, across: str, up: str, reference: str) -> Markup | None:
    """One quantity against another, a numbered point a method with both intervals; None if nothing was measured.

    Args:
        rows: of one comparison, as ``tabulate`` gives them.
        across: name of the quantity on the horizontal axis.
        up: the same of the vertical axis.
        reference: the method drawn in colour.
    """
    numbers = rows[rows["method"] != BASE].set_index("method")
    sides = [
        COLUMNS[name].unit.factor * numbers.loc[numbers["quantity"] == name, ["mean", "mean_low", "mean_high"]]
        for name in (across, up)
    ]
    shown = sides[0].add_suffix("_x").join(sides[1].add_suffix("_y")).dropna(subset=["mean_x", "mean_y"])
    if shown.empty:
        return None
    places = numbered([method for method in dict.fromkeys(rows["method"]) if method != BASE])
    titles = [f"{COLUMNS[name].label}{', %' if COLUMNS[name].unit is SHARE else ''}" for name in (across, up)]
    with matplotlib.rc_context(STYLE | {"svg.hashsalt": f"{across} {up}"}):
        figure = Figure(figsize=(WIDTH, 3.4), layout="constrained")
        axes = figure.add_subplot()
        for method, point in shown.iterrows():
            colour = AFTER if method == reference else BEFORE
            x, y = point["mean_x"], point["mean_y"]
            bars: dict[str, Any] = {"color": colour, "linewidth": 0.9, "alpha": 0.6}
            if math.isfinite(point["mean_low_x"]):
                axes.hlines(y, point["mean_low_x"], point["mean_high_x"], **bars)
            if math.isfinite(point["mean_low_y"]):
                axes.vlines(x, point["mean_low_y"], point["mean_high_y"], **bars)
            axes.plot(x, y, "o", color=colour, markersize=5)
            label = str(places[str(method)])
            axes.annotate(label, (x, y), (4, 4), textcoords="offset points", color=INK, fontsize=8)
        axes.set(xlabel=titles[0])
        axes.set_title(titles[1])
        axes.margins(0.08)
        words = "; ".join(f"{method}: {p['mean_x']:.3g} and {p['mean_y']:.3g}" for method, p in shown.iterrows())
        return svg(figure, f"{titles[1]} against {titles[0]}. {words}.")


def forgetting_curves(cells: Sequence[CellResult], reference: str) -> Markup | None:
    """Share forgotten at the checks against passes, a small chart a method, the reference in each for comparison.

    Args:
        cells: of one comparison.
        reference: the method drawn in colour.
    """
    drawn = [each for each in cells if len(each.curve) > 1]
    methods = list(dict.fromkeys(each.method for each in cells))
    curves = {method: mean_curve([each.curve for each in drawn if each.method == method]) for method in methods}
    shown = [method for method in methods if len(curves[method])]
    if not shown:
        return None
    numbers = numbered(methods)
    end = max(curves[method][-1, 0] for method in shown)
    with matplotlib.rc_context(STYLE | {"svg.hashsalt": "curves"}):
        height = -(-len(shown) // ABREAST)
        figure = Figure(figsize=(WIDTH * 1.5, 0.5 + 1.35 * height), layout="constrained")
        panels = figure.subplots(height, ABREAST, sharex=True, sharey=True, squeeze=False).ravel()
        for axes, method in zip(panels, shown, strict=False):
            if reference in shown and method != reference:
                axes.plot(*curves[reference].T, color=AFTER, linewidth=0.9, alpha=0.7)
            axes.plot(*curves[method].T, color=AFTER if method == reference else INK)
            axes.set(ylim=(0, 102), xlim=(0, end or 1))
            axes.set_title(f"{numbers[method]} {method}", fontsize=7, parse_math=False)
        for axes in panels[len(shown) :]:
            axes.set_visible(False)
        figure.supxlabel("passes", fontsize=8, color=MUTED)
        figure.supylabel("forgotten, %", fontsize=8, color=MUTED)
        words = "; ".join(f"{m}: {curves[m][-1, 1]:.0f} % after {curves[m][-1, 0]:.0f} passes" for m in shown)
        return svg(figure, f"Share forgotten at the checks against passes. {words}.")


def mean_curve(curves: Sequence[Sequence[tuple[float, float]]]) -> np.ndarray:
    """Mean of curves that were measured at different passes, ``(n, 2)``: passes and per cent; empty of none.

    Between two checks a curve is a straight line; a run that ended keeps what it had reached.
    """
    measured = [np.asarray(curve, dtype=np.float64) for curve in curves if len(curve) > 1]
    if not measured:
        return np.empty((0, 2))
    passes = np.linspace(0, max(curve[-1, 0] for curve in measured), POINTS)
    heights = [np.interp(passes, curve[:, 0], curve[:, 1]) for curve in measured]
    return np.column_stack([passes, 100 * np.mean(heights, axis=0)])
