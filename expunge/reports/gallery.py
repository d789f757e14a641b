"""Which pictures the report shows: chosen by a fixed rule, never by eye, and few enough for one page."""

from dataclasses import dataclass

import numpy as np

from expunge.metrics.retain_accuracy import CollateralRow
from expunge.pictures.picture_set import PictureSet
from expunge.reports.figures import data_uris
from expunge.reports.report_facts import ReportFacts

PAIRS_PER_TARGET = 12
PAIRS_OF_ALL_TARGETS = 120
PAIRS_OF_RETAIN = 24
PAIRS_PER_WORST = 4
WORST_LEVELS = 3
PICTURE_BUDGET = 2_200_000  # characters of all data URIs together, of a page of at most 3 MB


@dataclass(frozen=True)
class Pair:
    """The same prompt and noise before and after, as data URIs."""

    prompt: str
    seed: int
    before: str
    after: str


@dataclass(frozen=True)
class Gallery:
    """The pairs to show: by request id, for the retain prompts, and for the levels that suffered most."""

    targets: dict[str, list[Pair]]
    retain: list[Pair]
    worst: list[tuple[CollateralRow, list[Pair]]]


def build_gallery(facts: ReportFacts) -> Gallery:
    """Choose and encode the pictures. Prompts that ask for any target never appear among the retain pictures.

    With ``hide_target_pictures`` nothing drawn for a target is encoded at all.
    """
    prompts = facts.before.prompts
    of_target = {
        target.request_id: [i for i, prompt in enumerate(prompts) if target.matches(prompt)] for target in facts.targets
    }
    forbidden = {i for indices in of_target.values() for i in indices}
    allowed = [i for i in range(len(prompts)) if i not in forbidden]
    share = max(2, min(PAIRS_PER_TARGET, PAIRS_OF_ALL_TARGETS // max(1, len(of_target))))
    shown = {
        name: [] if facts.hide_target_pictures else spread(facts.before, of_target[name], share) for name in of_target
    }
    retain = spread(facts.before, allowed, PAIRS_OF_RETAIN)
    worst = [(row, _most_changed(facts, allowed, row)) for row in suffered(facts.evaluation.collateral)[:WORST_LEVELS]]
    order = [i for indices in [*shown.values(), retain, *(indices for _, indices in worst)] for i in indices]
    pairs = iter(_encode(facts, order))
    return Gallery(
        targets={name: [next(pairs) for _ in indices] for name, indices in shown.items()},
        retain=[next(pairs) for _ in retain],
        worst=[(row, [next(pairs) for _ in indices]) for row, indices in worst],
    )


def suffered(collateral: tuple[CollateralRow, ...]) -> list[CollateralRow]:
    """The levels that lost retain accuracy, largest loss first."""
    return sorted((row for row in collateral if row.after < row.before), key=lambda row: row.after - row.before)


def spread(pictures: PictureSet, indices: list[int], count: int) -> list[int]:
    """At most ``count`` of ``indices``, taken in turn from the strata, or from evenly spaced ones."""
    strata: dict[str, list[int]] = {}
    for index in indices:
        strata.setdefault(pictures.prompts[index].stratum, []).append(index)
    queues = list(strata.values())
    if len(queues) > count:
        queues = [queues[turn * len(queues) // count] for turn in range(count)]
    rounds = max(map(len, queues), default=0)
    in_turn = [queue[turn] for turn in range(rounds) for queue in queues if turn < len(queue)]
    return sorted(in_turn[:count])


def _most_changed(facts: ReportFacts, allowed: list[int], row: CollateralRow) -> list[int]:
    """The level's pairs with the largest mean absolute difference of pixels, largest first."""
    own = [i for i in allowed if facts.before.prompts[i].factors.get(row.factor) == row.level]
    before, after = facts.before.pictures, facts.after.pictures
    change = {i: float(np.abs(before[i].astype(np.int16) - after[i].astype(np.int16)).mean()) for i in own}
    return sorted(own, key=lambda i: (-change[i], i))[:PAIRS_PER_WORST]


def _encode(facts: ReportFacts, order: list[int]) -> list[Pair]:
    both = [facts.before.pictures[i] for i in order] + [facts.after.pictures[i] for i in order]
    uris = data_uris(both, PICTURE_BUDGET)
    return [
        Pair(facts.before.prompts[i].text, facts.before.seeds[i], uris[place], uris[place + len(order)])
        for place, i in enumerate(order)
    ]
