"""The picture of a sequence: UA of every target after every round as a heat map, RA and FD of the rest beside it."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from expunge.benchmark.sequence import Round
from expunge.metrics.numbers import Interval

COLOURS = "viridis"  # light means forgotten; told apart in grey and by the colour-blind
DARK_BELOW = 0.6  # under this share a cell is dark and its number white
LINE = "#3b4cc0"


def ua_matrix(rounds: Sequence[Round]) -> np.ndarray:
    """UA by round and target, 0–1, ``(rounds + 1, targets)``; row 0 is the original model."""
    first = [each.numbers["unlearning_accuracy"].before.value for each in rounds[0].evaluation.targets]
    rest = [[each.numbers["unlearning_accuracy"].after.value for each in done.evaluation.targets] for done in rounds]
    return np.array([first, *rest])


def draw_chart(rounds: Sequence[Round]) -> Figure:
    """Heat map, and curves of RA and FD over the rounds with their 95 % intervals."""
    labels = ["original", *(f"{done.number} {done.target.name}" for done in rounds)]
    height = 1.6 + 0.34 * len(labels)
    with matplotlib.rc_context({"font.size": 8, "axes.titlesize": 9, "axes.titlelocation": "left"}):
        figure = Figure(figsize=(9.5, max(3.6, height)), layout="constrained")
        grid = figure.add_gridspec(2, 2, width_ratios=(1.9, 1))
        _heat_map(figure.add_subplot(grid[:, 0]), rounds, labels)
        retained = [done.evaluation.rest["retain_accuracy"] for done in rounds]
        distances = [done.evaluation.rest["frechet_distance"] for done in rounds]
        upper, lower = figure.add_subplot(grid[0, 1]), figure.add_subplot(grid[1, 1])
        _curve(upper, [retained[0].before, *(each.after for each in retained)], 100, "RA of the rest, %")
        _curve(lower, [distances[0].before, *(each.after for each in distances)], 1, "FD of the rest, lower is closer")
        lower.set_xlabel("round")
    return figure


def save_chart(rounds: Sequence[Round], path: Path) -> None:
    """Write the picture; its kind is the path's suffix, ``.png`` or ``.svg``."""
    draw_chart(rounds).savefig(path, dpi=150, facecolor="white")


def _heat_map(axes: Axes, rounds: Sequence[Round], labels: Sequence[str]) -> None:
    shares = ua_matrix(rounds)
    axes.imshow(shares, cmap=COLOURS, vmin=0, vmax=1, aspect="auto")
    for (row, column), share in np.ndenumerate(shares):
        colour = "white" if share < DARK_BELOW else "black"
        axes.text(column, row, f"{100 * share:.0f}", ha="center", va="center", color=colour)
    for column in range(len(rounds)):  # the target's own round
        axes.add_patch(Rectangle((column - 0.5, column + 0.5), 1, 1, fill=False, edgecolor="white", linewidth=2))
    names = [each.name for each in rounds[0].evaluation.targets]
    axes.set_xticks(range(len(names)), names, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(labels)), labels)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_title("UA after each round, %: light is forgotten, framed is the own round")


def _curve(axes: Axes, values: Sequence[Interval], factor: float, title: str) -> None:
    rounds = range(len(values))
    low, high = ([factor * getattr(each, end) for each in values] for end in ("low", "high"))
    axes.fill_between(rounds, low, high, color=LINE, alpha=0.2, linewidth=0)
    axes.plot(rounds, [factor * each.value for each in values], "o-", color=LINE, markersize=3)
    axes.axhline(factor * values[0].value, color="grey", linewidth=0.8, linestyle=":")
    axes.set_xticks(list(rounds))
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title(title)
