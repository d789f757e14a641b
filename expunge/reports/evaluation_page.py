"""The page of an evaluation: one HTML file that loads nothing and runs nothing, and which pictures it shows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate

import numpy as np
import pandas as pd

from expunge.comeback.comeback_report import ComebackReport
from expunge.evaluation.plan import EARLIER, HELD_OUT, TARGET, label
from expunge.evaluation.score import Scores
from expunge.metrics.numbers import Change
from expunge.metrics.quantities import QUANTITIES
from expunge.pictures.picture_set import PictureSet
from expunge.pictures.shards import Shard
from expunge.prompts.target import Target
from expunge.reports import evaluation_tables as tables
from expunge.reports import plots, wording
from expunge.reports.comeback_section import comeback_views
from expunge.reports.figures import data_uris
from expunge.reports.gallery import PICTURE_BUDGET, WORST_LEVELS, Pair, suffered
from expunge.reports.rendering import render

PAIRS_PER_TARGET = 8
TARGETS_SHOWN = 10
PAIRS_PER_WORST = 4
PAIRS_OF_REST = 12
COLLATERAL_ROWS = 10  # shown at once; the rest is folded away

Loader = Callable[[int], PictureSet]


@dataclass(frozen=True)
class Chosen:
    """Rows of ``Scores.pictures`` that the page shows, chosen by a fixed rule, never by eye.

    Attributes:
        targets: by ``KIND:NAME``: some of its own prompts, one of each other wording.
        worst: by factor and level that suffered: the pairs least alike.
        rest: spread over everything else.
    """

    targets: dict[str, list[int]]
    worst: dict[tuple[str, str], list[int]]
    rest: list[int]

    @property
    def rows(self) -> list[int]:
        """All of them, as they come on the page."""
        return [i for rows in (*self.targets.values(), *self.worst.values(), self.rest) for i in rows]


def choose(scores: Scores, hide_target_pictures: bool = False) -> Chosen:
    """Which pairs the page shows; with ``hide_target_pictures`` none that was drawn for a target."""
    table, targets = scores.pictures, scores.result.targets
    asks = {label(each): table[f"asked_{each.factor}"].isin(each.levels) for each in targets}
    held_out = table["part"] == HELD_OUT
    kept = table[held_out & ~np.logical_or.reduce(list(asks.values()))] if targets else table[held_out]
    levels = [(row.factor, row.level) for row in suffered(scores.result.evaluation.collateral)[:WORST_LEVELS]]
    shown = [] if hide_target_pictures else targets[:TARGETS_SHOWN]
    return Chosen(
        targets={label(each): _of_target(table, each) for each in shown},
        worst={
            (factor, level): kept[kept[f"asked_{factor}"] == level]["likeness"]
            .nsmallest(PAIRS_PER_WORST)
            .index.tolist()
            for factor, level in levels
        },
        rest=_spread(kept.index.tolist(), PAIRS_OF_REST),
    )


def shards_of(rows: Sequence[int], shards: Sequence[Shard]) -> dict[int, tuple[int, int]]:
    """For each row the number of its shard and its place in it."""
    ends = list(accumulate(len(shard.prompts) for shard in shards))
    numbers = {row: int(np.searchsorted(ends, row, side="right")) for row in rows}
    return {row: (number, row - (ends[number - 1] if number else 0)) for row, number in numbers.items()}


def load_pairs(shown: Chosen, shards: Sequence[Shard], before: Loader, after: Loader) -> dict[int, Pair]:
    """The chosen pairs by row, encoded; one shard is in memory at a time.

    Args:
        before: gives a shard's pictures by its number, of the model measured against.
        after: the same of the model measured.
    """
    places = shards_of(shown.rows, shards)
    found: dict[tuple[int, int], np.ndarray] = {}
    for side, load in enumerate((before, after)):
        for number in sorted({number for number, _ in places.values()}):
            pictures = load(number).pictures
            found |= {(side, row): pictures[place].copy() for row, (n, place) in places.items() if n == number}
    rows = list(places)
    uris = data_uris([found[side, row] for side in (0, 1) for row in rows], PICTURE_BUDGET) if rows else []
    pairs = {}
    for i, row in enumerate(rows):
        number, place = places[row]
        shard = shards[number]
        pairs[row] = Pair(shard.prompts[place].text, shard.seeds[place], uris[i], uris[i + len(rows)])
    return pairs


def render_evaluation(
    scores: Scores,
    shown: Chosen,
    pairs: dict[int, Pair],
    created_at: datetime,
    commands: Sequence[str],
    comeback: Sequence[ComebackReport] = (),
) -> str:
    """The evaluation as one HTML page.

    Args:
        shown: which pairs.
        pairs: the pairs by row.
        created_at: when it was made.
        commands: what to type to get the same again.
        comeback: the comes-back tests, one report a target; empty if they were not made.
    """
    result = scores.result
    ranked = sorted(result.evaluation.collateral, key=lambda row: row.after - row.before)
    losses = {(row.factor, row.level): row for row in ranked}
    return render(
        "evaluation.html.j2",
        result=result,
        created_at=created_at,
        commands=list(commands),
        headline=tables.headline(result),
        sentences=tables.sentences(result),
        sections=tables.sections(result),
        comeback=comeback_views(comeback),
        power=wording.power_sentence(result.evaluation.rest.get("retain_accuracy")),
        interval_chart=plots.interval_chart(_shares(scores), "evaluation"),
        targets=[
            {"name": each.name, "pairs": [pairs[i] for i in shown.targets.get(label(each), [])]}
            for each in result.targets
        ],
        worst=[(losses[of], [pairs[i] for i in rows]) for of, rows in shown.worst.items()],
        rest=[pairs[i] for i in shown.rest],
        lost=len(suffered(result.evaluation.collateral)),
        collateral=[ranked[:COLLATERAL_ROWS], ranked[COLLATERAL_ROWS:]],
        provenance=tables.provenance(result),
        settings={**result.settings.model_dump(exclude_defaults=True), **result.evaluation.sampling},
    )


def _shares(scores: Scores) -> list[tuple[str, Change]]:
    evaluation, result = scores.result.evaluation, scores.result
    rows: list[tuple[str, Change | None]] = []
    for target, each in zip(result.targets, evaluation.targets, strict=True):
        rows.append((f"UA {target.name}", each.numbers.get("unlearning_accuracy")))
        own = [group for group in result.wordings if group.target == label(target)]
        rows += [(f"UA {target.name}, {group.group}", group.numbers.get("unlearning_accuracy")) for group in own]
    rest = ("retain_accuracy", "in_domain", "cross_domain")
    rows += [(QUANTITIES[name].label, evaluation.rest.get(name)) for name in rest]
    return [(name, change) for name, change in rows if change is not None]


def _of_target(table: pd.DataFrame, target: Target) -> list[int]:
    held_out = table["part"].isin([HELD_OUT, TARGET]) & table[f"asked_{target.factor}"].isin(target.levels)
    others = table[(table["target"] == label(target)) & ~table["part"].isin([TARGET, EARLIER])]
    wordings = others.groupby("part", sort=False).head(1)
    return [*_spread(table[held_out].index.tolist(), PAIRS_PER_TARGET), *wordings.index.tolist()]


def _spread(rows: list[int], count: int) -> list[int]:
    places = np.linspace(0, len(rows) - 1, min(count, len(rows))).round().astype(int)
    return [rows[place] for place in places]
