"""The page about oracles: a table, verdicts of equivalence, and curves."""

from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.stats import t as students_t

from expunge.benchmark.machine import command, machine_line
from expunge.markdown import markdown_table
from expunge.metrics.equivalence import equivalence

ORACLE, ORIGINAL = "oracle", "original"
DISTANCES = {
    "prediction_target": "prediction, target",
    "pictures_target": "pictures, target",
    "prediction_rest": "prediction, rest",
    "pictures_rest": "pictures, rest",
}
SHARES = {"unlearning_accuracy": "UA", "retain_accuracy": "RA", "knowledge": "knowledge"}
COMEBACK = {
    "relearned_1": "UA, relearned on 1",
    "relearned_5": "… on 5",
    "relearned_20": "… on 20",
    "noise": "found under noise",
    "inpainted": "found, inpainted",
    "guided": "found, guided",
}
JUDGED = DISTANCES | {"knowledge": SHARES["knowledge"]} | COMEBACK
LINE = 3.6  # points of the third picture's height that a name takes
MARGIN = 1.5  # standard deviations of the oracles
STYLE = {"font.size": 8, "axes.titlesize": 9, "axes.titlelocation": "left", "axes.spines.top": False,
         "axes.spines.right": False}  # fmt: skip


def write_page(models: pd.DataFrame, folder: Path) -> str:
    """Write ``digits.md`` and ``digits.png``; returns the text.

    Args:
        models: a row for each model, as ``measure`` has them.
        folder: where to.
    """
    picture(models).savefig(folder / "digits.png", dpi=150, facecolor="white")
    oracles = models[models["who"] == ORACLE]
    per_target = len(oracles) // oracles["target"].nunique()
    seeds = models[~models["who"].isin([ORACLE, ORIGINAL])]["seed"].nunique()
    head = (
        f"Digits: unlearned models beside {per_target} oracles for each of {oracles['target'].nunique()} targets "
        f"({', '.join(oracles['target'].unique())}), {seeds} seeds. `{command()}`"
    )
    text = [
        head,
        "![distances and relearning](digits.png)",
        "Distances in units of the oracles' own: geometric mean over targets [lowest–highest target]. 1: as far from "
        "an oracle as another oracle is.",
        markdown_table(["model", *DISTANCES.values()], ratio_rows(models)),
        "Shares in per cent, mean over targets [lowest–highest target]. Knowledge: chance that a picture of the target "
        "is denoised better, beside the original, than one of the rest; 50: as the original.",
        markdown_table(["model", *SHARES.values()], share_rows(models)),
        "Comeback, per cent, mean over targets. UA, relearned: mean over the steps while a copy is fine-tuned on so "
        "many pictures of the target. Found: share of pictures with the target, with fresh noise at every step of "
        "drawing, where a hole in target pictures is filled, and led by a classifier. In brackets by how many points "
        "the mean differs from the oracles', 95 % interval over seeds and oracles of these targets.",
        markdown_table(["model", *COMEBACK.values()], comeback_rows(models)),
        f"Targets for which equivalence with the oracles is shown (two one-sided tests of 5 %, margin {MARGIN:g} "
        "standard deviations of the oracles, logarithms of distances). Not shown is not the same as different.",
        markdown_table(["model", *JUDGED.values()], verdict_rows(models)),
        machine_line(),
    ]
    page = "\n\n".join(text) + "\n"
    (folder / "digits.md").write_text(page, encoding="utf-8")
    return page


def ratios(models: pd.DataFrame, name: str) -> pd.DataFrame:
    """A model's distance over the oracles' own mean: rows ``who``, columns targets, means over seeds."""
    means = models.groupby(["who", "target"], sort=False)[name].mean().unstack()
    return means / means.loc[ORACLE]


def ratio_rows(models: pd.DataFrame) -> list[list[str]]:
    """A row for each kind of model."""
    found = {name: ratios(models, name) for name in DISTANCES}
    return [[who, *(_spread(found[name].loc[who], geometric=True) for name in DISTANCES)] for who in _order(models)]


def share_rows(models: pd.DataFrame) -> list[list[str]]:
    """Likewise, of shares."""
    means = models.groupby(["who", "target"], sort=False)[list(SHARES)].mean()
    return [[who, *(_spread(100 * means.loc[who][name]) for name in SHARES)] for who in _order(models)]


def comeback_rows(models: pd.DataFrame) -> list[list[str]]:
    """Likewise, of what comes back, with differences from the oracles."""
    rows = []
    for who in _order(models):
        cells = []
        for name in COMEBACK:
            value = 100 * models[models["who"] == who].groupby("target")[name].mean().mean()
            low, high = _beside_oracles(models, who, name)
            cells.append(f"{value:.0f}" if who in (ORACLE, ORIGINAL) else f"{value:.0f} [{low:+.0f}, {high:+.0f}]")
        rows.append([who, *cells])
    return rows


def _beside_oracles(models: pd.DataFrame, who: str, name: str) -> tuple[float, float]:
    """95 % interval of a mean over targets minus the oracles', in points: Welch's, of independent models."""
    differences, parts = [], []
    for _, each in models.groupby("target"):
        sides = [100 * each[each["who"] == side][name].to_numpy() for side in (who, ORACLE)]
        differences.append(sides[0].mean() - sides[1].mean())
        parts += [(side.var(ddof=1) / len(side), len(side) - 1) for side in sides if len(side) > 1]
    error = sum(part for part, _ in parts)
    freedom = error**2 / max(sum(part**2 / free for part, free in parts), 1e-300)
    middle, reach = np.mean(differences), students_t.ppf(0.975, max(freedom, 1)) * error**0.5 / len(differences)
    return float(middle - reach), float(middle + reach)


def verdict_rows(models: pd.DataFrame) -> list[list[str]]:
    """For each method, of how many targets equivalence is shown."""
    rows = []
    for who in _order(models):
        if who in (ORACLE, ORIGINAL):
            continue
        cells = []
        for name in JUDGED:
            shown = [_equivalent(models[models["target"] == each], who, name) for each in models["target"].unique()]
            cells.append(f"{sum(shown)} of {len(shown)}")
        rows.append([who, *cells])
    return rows


def _equivalent(models: pd.DataFrame, who: str, name: str) -> bool:
    values, references = (models[models["who"] == each][name].to_numpy() for each in (who, ORACLE))
    if name in DISTANCES:
        least = 1e-9  # an unbiased kernel distance may be below zero
        values, references = np.log(np.maximum(values, least)), np.log(np.maximum(references, least))
    spread = float(references.std(ddof=1))
    return spread > 0 and equivalence(values.tolist(), references.tolist(), MARGIN * spread).shown


def _order(models: pd.DataFrame) -> list[str]:
    return list(dict.fromkeys(models["who"]))


def _spread(values: pd.Series, geometric: bool = False) -> str:
    numbers = values.to_numpy(dtype=float)
    if geometric and numbers.min() <= 0:
        return f"{numbers.mean():.2f} (mean) [{numbers.min():.2f}–{numbers.max():.2f}]"
    middle = np.exp(np.log(numbers).mean()) if geometric else numbers.mean()
    return f"{middle:.3g} [{numbers.min():.3g}–{numbers.max():.3g}]"


def picture(models: pd.DataFrame) -> Figure:
    """Distances on the target and on the rest, and UA while copies are fine-tuned."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(11, 3.8), layout="constrained")
        first, second, third = figure.subplots(1, 3)
        for axes, side in ((first, "target"), (second, "rest")):
            _distances(axes, models, side)
        _curves(third, models)
        return figure


def _distances(axes: Axes, models: pd.DataFrame, side: str) -> None:
    found, order = ratios(models, f"prediction_{side}"), _order(models)
    for place, who in enumerate(order):
        axes.plot(found.loc[who], [place] * found.shape[1], "o", color=_colour(who), markersize=4, alpha=0.7)
    axes.axvline(1, color="grey", linewidth=0.8, linestyle=":")
    axes.set_xscale("log")
    axes.set_yticks(range(len(order)), order if side == "target" else [])
    axes.invert_yaxis()
    axes.set_title(f"prediction, {side}")
    axes.set_xlabel("distance ÷ the oracles' own")


def _curves(axes: Axes, models: pd.DataFrame) -> None:
    steps, ends = models["steps"].iloc[0], {}
    for who in _order(models):
        share = 100 * np.mean(np.stack(models[models["who"] == who]["curve"].tolist()), axis=0)
        wide = who in (ORACLE, ORIGINAL, "default")
        axes.plot(steps, share, color=_colour(who), linewidth=2 if wide else 0.8)
        ends[who] = share[-1]
    height = -np.inf
    for who, end in sorted(ends.items(), key=lambda each: each[1]):
        height = max(end, height + LINE)
        axes.annotate(who, (steps[-1], height), fontsize=6, color=_colour(who))
    axes.set_xlabel("steps on five pictures of the target")
    axes.set_title("UA, %, mean over targets and seeds")


def _colour(who: str) -> str:
    return {ORACLE: "#1b7837", ORIGINAL: "#b2182b", "default": "#2166ac"}.get(who, "#888888")
