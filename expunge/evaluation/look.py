"""Looking for targets before anything is unlearned: what a model does not draw need not be removed from it.

The pictures are those that the evaluation draws of the targets by the model as it was, shard by shard the same, so that
none is drawn twice, and the shares are those that the gate reads as "drawn before". Only zero-shot judges may find more
of a target here than there: their limits are set on further pictures, and without limits they name a level of any.
"""

from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import Literal

from pydantic import BaseModel, ConfigDict

from expunge.case import Case
from expunge.evaluation.evaluation_settings import EvaluationSettings
from expunge.evaluation.evaluator import judge_shard
from expunge.evaluation.plan import HELD_OUT, TARGET, plan_evaluation
from expunge.evaluation.readable import check_readable
from expunge.judges.judged import JudgedPictures, join
from expunge.metrics.numbers import Interval
from expunge.metrics.unlearning_accuracy import share_that_shows
from expunge.models.text_to_image import TextToImage
from expunge.pictures.picture_set import PictureSet, concatenate
from expunge.pictures.picture_store import Drawer, PictureStore
from expunge.pictures.shards import Shard, prompts_digest
from expunge.progress import progress_bar
from expunge.prompts.target import Target
from expunge.prompts.world import Side

Verdict = Literal["drawn", "nothing to remove", "unclear"]
ABSENT: Verdict = "nothing to remove"


class TargetLook(BaseModel):
    """How much of one target a model draws.

    Attributes:
        shares: by judge, the share of pictures that show it; the classifier of its factor first.
        taken_for: by judge, what it finds most often in the others; empty where it finds the target in all.
        verdict: what follows from them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    request_id: str
    name: str
    kind: str
    shares: dict[str, Interval]
    taken_for: dict[str, str]
    verdict: Verdict


class Look(BaseModel):
    """What was looked for, and what was found.

    Attributes:
        targets: one entry per request.
        limit: the share below which there is nothing to remove.
        judges: name of the panel.
        judges_digest: SHA-256 of the judges' weights.
        wordings: the side of the world that was asked with.
        prompts_digest: SHA-256 of all prompts and seeds.
        notes: prompts that were not read to the end.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    targets: tuple[TargetLook, ...]
    limit: float
    judges: str
    judges_digest: str
    wordings: Side
    prompts_digest: str
    notes: tuple[str, ...] = ()


def verdict(shares: Sequence[Interval], limit: float) -> Verdict:
    """What the shares of pictures that show a target say, the first judge's first.

    ``drawn`` where that judge's low end reaches the limit; ``nothing to remove`` where every judge's high end stays
    below; else ``unclear``: the work goes on. Whether enough was drawn to say that it is gone, the gate decides.
    """
    if shares and shares[0].low >= limit:
        return "drawn"
    return ABSENT if shares and all(each.high < limit for each in shares) else "unclear"


def look_for_targets(
    model: TextToImage, case: Case, settings: EvaluationSettings, limit: float, store: PictureStore
) -> tuple[Look, PictureSet]:
    """Let a model draw the case's targets, and the judges look for them.

    Args:
        model: as it is, before anything is unlearned.
        settings: of the evaluation to come.
        limit: the share below which there is nothing to remove.
        store: where pictures are kept; the evaluation finds them there.

    Returns:
        What was found, and the pictures that asked for a target.

    Raises:
        ExpungeError: the model does not read its target prompts to the end, no judge knows a target's factor, or as in
            ``judge_shard``.
    """
    model = case.placed(model)
    for target in case.targets:
        case.panel().refuse_unjudged(target)
    shards = shards_of_targets(case, settings)
    notes = check_readable([model], shards, case)
    drawer, judged, pictures = Drawer(model, case.drawing, store, case.processes), [], []
    without_distances = settings.model_copy(update={"features": ""})
    with progress_bar() as bar:
        task = bar.add_task("Looking for the targets", total=sum(map(len, shards)), note="")
        with drawer.each_of(shards, partial(bar.advance, task)) as sets:
            for drawn in sets:
                judged.append(judge_shard(drawn, case, without_distances))
                pictures.append(drawn.where(case.asks_for_target))
    found = join(judged)
    look = Look(
        targets=tuple(_looked(each, found, case, limit) for each in case.targets),
        limit=limit,
        judges=case.judges,
        judges_digest=case.judges_digest,
        wordings=HELD_OUT,
        prompts_digest=prompts_digest(shards),
        notes=tuple(notes),
    )
    return look, concatenate(pictures)


def shards_of_targets(case: Case, settings: EvaluationSettings) -> list[Shard]:
    """Those of the evaluation's plan with the pictures that its targets' numbers rest on; whole, as they are drawn."""
    asked = [shard for shard in plan_evaluation(case, settings) if shard.part in (HELD_OUT, TARGET)]
    return [shard for shard in asked if any(map(case.asks_for_target, shard.prompts))]


def _looked(target: Target, found: JudgedPictures, case: Case, limit: float) -> TargetLook:
    panel = case.panel()
    asked = found.select([i for i, prompt in enumerate(found.prompts) if target.matches(prompt)])
    first, second = panel.told_by(target.factor)
    by_judge = {first: asked.recognised}
    if not panel.one_judge:
        by_judge[second] = asked.seen_by_clip(panel, case.world, [target.factor]).recognised_by_clip
    said = {judge: levels[target.factor] for judge, levels in by_judge.items()}
    shares = {judge: share_that_shows(target, levels, asked.clusters) for judge, levels in said.items()}
    return TargetLook(
        request_id=target.request_id,
        name=target.name,
        kind=target.kind.value,
        shares=shares,
        taken_for={judge: _taken_for(target, levels) for judge, levels in said.items()},
        verdict=verdict(list(shares.values()), limit),
    )


def _taken_for(target: Target, levels: Sequence[str]) -> str:
    others = Counter(level for level in levels if level not in target.levels)
    return max(sorted(others), key=others.__getitem__, default="")
