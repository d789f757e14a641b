"""Plots as inline SVG. Colours are the page's own CSS variables, so that they follow its colour scheme."""

import io
import re
from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from markupsafe import Markup, escape
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from expunge.metrics.numbers import Change

WIDTH = 3.7  # inches; small, so that letters stay readable on a phone
MAX_POINTS = 400
MAX_LAYERS = 14

# Stand-ins that matplotlib accepts as colours, exchanged for CSS variables in the SVG.
INK, MUTED, LINE, BEFORE, AFTER = "#0a0b01", "#0a0b02", "#0a0b03", "#0a0b04", "#0a0b05"
VARIABLES = {INK: "--ink", MUTED: "--muted", LINE: "--line", BEFORE: "--before", AFTER: "--accent"}

STYLE: Any = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": LINE,
    "axes.labelcolor": MUTED,
    "axes.titlesize": 8,
    "axes.titlelocation": "left",
    "axes.titlecolor": INK,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": LINE,
    "grid.linewidth": 0.5,
    "xtick.color": LINE,
    "ytick.color": LINE,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "legend.frameon": False,
    "legend.labelcolor": MUTED,
    "lines.linewidth": 1.4,
}


def interval_chart(rows: Sequence[tuple[str, Change]], name: str) -> Markup:
    """Shares before and after with their 95 % intervals, one row per quantity, 0–100 %."""
    with matplotlib.rc_context(STYLE | {"svg.hashsalt": name}):
        figure = Figure(figsize=(WIDTH, 0.62 + 0.42 * len(rows)), layout="constrained")
        axes = figure.add_subplot()
        for row, (label, change) in enumerate(rows):
            axes.text(-1, row - 0.27, _shortened(label), color=INK, va="center", parse_math=False)
            for interval, offset, colour, face in (
                (change.before, 0.02, BEFORE, "none"),
                (change.after, 0.24, AFTER, AFTER),
            ):
                axes.plot([100 * interval.low, 100 * interval.high], [row + offset] * 2, color=colour, linewidth=2.2)
                axes.plot(100 * interval.value, row + offset, "o", color=colour, markerfacecolor=face, markersize=5)
        axes.plot([], [], "o-", color=BEFORE, markerfacecolor="none", markersize=5, label="before")
        axes.plot([], [], "o-", color=AFTER, markersize=5, label="after")
        axes.set(xlim=(-2, 102), ylim=(len(rows) - 0.5, -0.55), yticks=[], xlabel="%")
        axes.spines["left"].set_visible(False)
        axes.grid(False, axis="y")
        figure.legend(loc="outside upper right", ncols=2)
        words = "; ".join(
            f"{label}: {_percent(change.before.value)} before, {_percent(change.after.value)} after"
            for label, change in rows
        )
        return svg(figure, f"Shares with 95 % intervals. {words}.")


def loss_curves(trace: pd.DataFrame) -> Markup:
    """Forget loss above, retain loss below, over training steps: each step faint, the running mean bold."""
    with matplotlib.rc_context(STYLE | {"svg.hashsalt": "losses"}):
        figure = Figure(figsize=(WIDTH, 3.0), layout="constrained")
        panels = figure.subplots(2, 1, sharex=True)
        for axes, column, title in zip(
            panels, ("forget_loss", "retain_loss"), ("forget loss", "retain loss"), strict=True
        ):
            _curve(axes, trace, column)
            axes.set_title(title)
        panels[1].set_xlabel("step")
        return svg(
            figure,
            f"Losses over {len(trace)} steps. {_ends(trace, 'forget_loss')}; {_ends(trace, 'retain_loss')}.",
        )


def cosine_curve(trace: pd.DataFrame) -> Markup | None:
    """Cosine between forget and retain gradient over training steps; below zero the two are in conflict.

    None if there is none: the method did not combine two gradients.
    """
    if trace["cosine"].isna().all():
        return None
    with matplotlib.rc_context(STYLE | {"svg.hashsalt": "cosine"}):
        figure = Figure(figsize=(WIDTH, 2.3), layout="constrained")
        axes = figure.add_subplot()
        axes.axhline(0, color=MUTED, linewidth=0.8)
        _curve(axes, trace, "cosine")
        axes.set_title("cosine of forget and retain gradient")
        axes.set_xlabel("step")
        return svg(figure, f"Cosine between the gradients over {len(trace)} steps. {_ends(trace, 'cosine')}.")


def forgotten_curve(trace: pd.DataFrame) -> Markup | None:
    """Share of probe pictures without the target, where it was measured; None if it never was."""
    measured = trace[["step", "forgotten"]].astype(float).dropna()
    if measured.empty:
        return None
    with matplotlib.rc_context(STYLE | {"svg.hashsalt": "forgotten"}):
        figure = Figure(figsize=(WIDTH, 2.3), layout="constrained")
        axes = figure.add_subplot()
        axes.plot(measured["step"], 100 * measured["forgotten"], "o-", color=AFTER, markersize=3, clip_on=False)
        axes.set(ylim=(0, 100), xlabel="step")
        axes.set_title("probe pictures without the target, %")
        first, last = measured.iloc[0], measured.iloc[-1]
        words = ", ".join(f"{_percent(row['forgotten'])} at step {row['step']:g}" for row in (first, last))
        return svg(figure, f"Share of probe pictures without the target, {len(measured)} times measured: {words}.")


def rate_curve(trace: pd.DataFrame) -> Markup | None:
    """Learning rate over training steps; None if it is not known, as of runs before it was written down."""
    if trace["learning_rate"].isna().all():
        return None
    with matplotlib.rc_context(STYLE | {"svg.hashsalt": "rate"}):
        figure = Figure(figsize=(WIDTH, 2.3), layout="constrained")
        axes = figure.add_subplot()
        axes.step(trace["step"], trace["learning_rate"].astype(float), where="mid", color=AFTER)
        axes.set_ylim(bottom=0)
        axes.ticklabel_format(axis="y", style="sci", scilimits=(0, 0))
        axes.set_title("learning rate")
        axes.set_xlabel("step")
        return svg(figure, f"Learning rate over {len(trace)} steps. {_ends(trace, 'learning_rate')}.")


def conflict_chart(conflict_map: pd.DataFrame) -> Markup | None:
    """Cosine by layer, the strongest conflicts first, at most ``MAX_LAYERS``; None if the map is empty."""
    rows = conflict_map.dropna(subset=["cosine"]).sort_values("cosine", kind="stable").head(MAX_LAYERS)
    if rows.empty:
        return None
    with matplotlib.rc_context(STYLE | {"svg.hashsalt": "conflict"}):
        figure = Figure(figsize=(WIDTH, 0.6 + 0.27 * len(rows)), layout="constrained")
        axes = figure.add_subplot()
        cosines = rows["cosine"].to_numpy(dtype=float)
        reach = max(0.05, float(np.abs(cosines).max()) * 1.08)
        places = np.arange(len(rows))
        axes.barh(places + 0.22, cosines, height=0.22, color=[AFTER if value < 0 else BEFORE for value in cosines])
        axes.axvline(0, color=LINE, linewidth=0.8)
        for place, layer in zip(places, rows["layer"], strict=True):
            axes.text(
                -reach,
                place - 0.14,
                _shortened(str(layer)),
                color=INK,
                va="center",
                fontsize=7,
                parse_math=False,
            )
        axes.set(xlim=(-reach, reach), ylim=(len(rows) - 0.5, -0.6), yticks=[], xlabel="cosine")
        axes.spines["left"].set_visible(False)
        axes.grid(False)
        worst = f"strongest in {rows['layer'].iloc[0]} at {cosines[0]:.3f}"
        return svg(figure, f"Cosine of forget and retain gradient in {len(rows)} layers, lowest first, {worst}.")


def _curve(axes: Axes, trace: pd.DataFrame, column: str) -> None:
    values = trace[column].astype(float)
    smooth = values.rolling(max(1, len(values) // 20), min_periods=1, center=True).mean()
    every = slice(None, None, max(1, -(-len(values) // MAX_POINTS)))
    axes.plot(trace["step"][every], values[every], color=AFTER, alpha=0.3, linewidth=0.8)
    axes.plot(trace["step"][every], smooth[every], color=AFTER)


def _ends(trace: pd.DataFrame, column: str) -> str:
    values = trace[column].astype(float).dropna()
    name = column.replace("_", " ")
    return f"{name} from {values.iloc[0]:.4g} to {values.iloc[-1]:.4g}" if len(values) else f"{name} not measured"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %" if np.isfinite(share) else "not measured"


def _shortened(name: str, limit: int = 52) -> str:
    return name if len(name) <= limit else f"{name[: limit // 2 - 1]}…{name[-limit // 2 :]}"


def svg(figure: Figure, label: str) -> Markup:
    """The figure as an ``<svg>`` element without namespaces, metadata, fixed size or idle ids."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    drawn = buffer.getvalue()
    drawn = drawn[drawn.index("<svg") :]
    drawn = re.sub(r"<metadata>.*?</metadata>", "", drawn, flags=re.S)
    drawn = re.sub(r"<style type=\"text/css\">.*?</style>", "", drawn, flags=re.S)
    drawn = re.sub(r"<!--.*?-->\n?", "", drawn, flags=re.S)
    opening, rest = drawn.split(">", 1)
    view_box = re.search(r'viewBox="([^"]*)"', opening)
    if view_box is None:
        raise RuntimeError("matplotlib wrote an SVG without a viewBox")
    rest = rest.replace("xlink:href", "href")
    used = set(re.findall(r'(?:url\(#|href="#)([^")]+)', rest))
    rest = re.sub(r' id="([^"]*)"', lambda match: match[0] if match[1] in used else "", rest)
    for colour, variable in VARIABLES.items():
        rest = rest.replace(colour, f"var({variable})")
    return Markup('<svg class="plot" role="img" aria-label="{}" viewBox="{}">').format(
        escape(label), view_box[1]
    ) + Markup(rest)
