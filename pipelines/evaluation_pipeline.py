"""Measure any model against any other: drawn and judged shard by shard, in parallel."""

from zenml import pipeline
from zenml.execution.pipeline.dynamic.utils import unmapped

from expunge.comeback.comeback_settings import chosen_comeback
from expunge.evaluation.profile import EvaluationProfile
from expunge.evaluation.score import Scores
from expunge.prompts.load_world import load_world
from expunge.prompts.named_targets import read_targets
from expunge.reports.evaluation_page import choose, shards_of
from steps.draw_shard import draw_shard
from steps.open_model import open_model
from steps.plan_evaluation import plan_evaluation
from steps.score_evaluation import score_evaluation
from steps.try_comeback import try_comeback
from steps.write_evaluation import write_evaluation


@pipeline(dynamic=True, enable_cache=True)
def evaluation_pipeline(
    model: str = "champion",
    against: str = "zoo",
    targets: list[str] = [],  # noqa: B006
    world: str = "zoo",
    judges: str = "zoo",
    profile: EvaluationProfile = EvaluationProfile(),  # noqa: B008
    comeback: str = "none",
    never_saw: str = "",
    folder: str = ".expunge/evaluations",
    hide_target_pictures: bool = False,
) -> None:
    """What a model forgot, and what else changed. The same again takes every shard from the cache.

    Args:
        model: ``zoo``, a diffusers folder, a hub id, ``s3://BUCKET/PREFIX``, ``models:/NAME@ALIAS``,
            ``models:/NAME/VERSION``, or an alias or number of the registered model.
        against: what it is measured against, named likewise.
        targets: ``KIND:NAME`` each; without any, only retention and quality are measured.
        world: ``zoo`` or a YAML file: what the models draw, and in which words.
        judges: ``zoo`` or an open_clip model.
        profile: sample sizes, seed and how pictures are drawn.
        comeback: ``none``, ``quick`` or ``full``: try to bring each target back, one cached step a target.
        never_saw: a model that never saw the targets, to compare with; named as the others.
        folder: where page and tables go, in a folder of their own.
        hide_target_pictures: leave pictures of the targets out of the page altogether.
    """
    tests = chosen_comeback(comeback, targets, never_saw)
    after, after_facts = open_model(model, "model")
    before, before_facts = open_model(against, "against")
    shards = plan_evaluation(targets, world, profile)
    asked = {"shard": shards, "world": world, "judges": judges, "drawing": profile.drawing}
    drawn_before, judged_before = draw_shard.map(model=unmapped(before), **asked).unpack()
    drawn_after, judged_after = draw_shard.map(model=unmapped(after), **asked).unpack()
    result, pictures = score_evaluation(
        after_facts, before_facts, shards, judged_before, judged_after, targets, world, judges, profile
    )
    reports = []
    if tests:
        reference = {"never_saw": open_model(never_saw, "never_saw")[0]} if never_saw else {}
        reports = [
            try_comeback(before, after, target, world, judges, tests, **reference)
            for target in read_targets(targets, load_world(world))
        ]
    rows = choose(Scores(result.load(), pictures.load()), hide_target_pictures).rows
    shown = sorted({number for number, _ in shards_of(rows, shards.load()).values()})
    write_evaluation(
        result,
        pictures,
        shards,
        shown,
        [drawn_before[i] for i in shown],
        [drawn_after[i] for i in shown],
        reports,
        folder,
        hide_target_pictures,
    )
