"""Relearning curves as inline SVG."""

from collections.abc import Sequence

import matplotlib
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from expunge.comeback.comeback_report import NEVER_SAW, ORIGINAL, UNLEARNED, ComebackReport, ModelComeback
from expunge.comeback.relearning import HARMLESS, RelearningCurve
from expunge.reports.plots import AFTER, BEFORE, INK, STYLE, WIDTH, svg

COLUMNS = 2
# Told apart by dashes and marks as well as by colour: colour, line style, marker, whether the marker is filled.
LOOKS = {
    ORIGINAL: (BEFORE, (0, (4, 2)), "o", False),
    NEVER_SAW: (INK, (0, (1, 1.5)), "^", False),
    UNLEARNED: (AFTER, "solid", "o", True),
}


def relearning_curves(report: ComebackReport) -> Markup | None:
    """UA over fine-tuning steps: a panel for each condition, a line for each model; None if nothing was tested.

    The band is the unlearned model's 95 % interval.
    """
    models = [report.model(name) for name in LOOKS if any(each.name == name for each in report.models)]
    if not models:
        return None
    conditions = [(curve.condition, curve.pictures) for curve in models[0].relearning.curves]
    rows = -(-len(conditions) // COLUMNS)
    with matplotlib.rc_context(STYLE | {"svg.hashsalt": f"relearning {report.kind} {report.target}"}):
        figure = Figure(figsize=(WIDTH, 0.5 + 1.35 * rows), layout="constrained")
        panels = figure.subplots(rows, COLUMNS, sharex=True, sharey=True, squeeze=False).ravel()
        for number, (axes, (condition, pictures)) in enumerate(zip(panels, conditions, strict=False)):
            axes.set_title(_title(condition, pictures))
            for model in models:
                _line(axes, model.name, model.relearning.curves[number])
        for axes in panels[len(conditions) :]:
            axes.set_visible(False)
        panels[0].set(ylim=(-4, 104), yticks=(0, 50, 100))
        figure.supxlabel("fine-tuning steps", fontsize=8, color=STYLE["axes.labelcolor"])
        figure.supylabel("UA, %", fontsize=8, color=STYLE["axes.labelcolor"])
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles[::-1], labels[::-1], loc="outside upper right", ncols=len(models))
        return svg(figure, f"Unlearning accuracy over fine-tuning steps. {_in_words(models, conditions)}.")


def _line(axes: Axes, name: str, curve: RelearningCurve) -> None:
    colour, dashes, marker, filled = LOOKS[name]
    steps = [point.step for point in curve.points]
    shares = [point.unlearning_accuracy for point in curve.points]
    if name == UNLEARNED:
        low, high = [100 * each.low for each in shares], [100 * each.high for each in shares]
        axes.fill_between(steps, low, high, color=colour, alpha=0.15, linewidth=0)
    axes.plot(
        steps,
        [100 * each.value for each in shares],
        color=colour,
        linestyle=dashes,
        marker=marker,
        markersize=4,
        markerfacecolor=colour if filled else "none",
        clip_on=False,
        label=name,
    )


def _title(condition: str, pictures: int) -> str:
    if condition == HARMLESS:
        return "on pictures without it"
    return f"on {pictures} picture{'s' if pictures > 1 else ''} of it"


def _in_words(models: Sequence[ModelComeback], conditions: Sequence[tuple[str, int]]) -> str:
    said = []
    for number, condition in enumerate(conditions):
        ends = []
        for model in reversed(models):
            points = model.relearning.curves[number].points
            first, last = (100 * each.unlearning_accuracy.value for each in (points[0], points[-1]))
            ends.append(f"{model.name} from {first:.0f} % to {last:.0f} %")
        said.append(f"{_title(*condition)}: {', '.join(ends)}".capitalize())
    return "; ".join(said)
