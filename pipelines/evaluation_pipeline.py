"""Measure any model against any other: drawn and judged shard by shard, in parallel."""

from zenml import pipeline
from zenml.execution.pipeline.dynamic.utils import unmapped

from expunge.comeback.comeback_settings import chosen_comeback
from expunge.evaluation.evaluation_settings import EvaluationSettings
from expunge.evaluation.score import Scores
from expunge.models.hardware import HardwareSettings
from expunge.pictures.drawing import DrawingSettings
from expunge.reports.evaluation_page import choose, shards_of
from pipelines.placement import placed
from steps.draw_shard import draw_shard
from steps.name_case import name_case
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
    evaluation: EvaluationSettings = EvaluationSettings(),  # noqa: B008
    drawing: DrawingSettings = DrawingSettings(),  # noqa: B008
    comeback: str = "none",
    never_saw: str = "",
    folder: str = ".expunge/evaluations",
    hide_target_pictures: bool = False,
    hardware: HardwareSettings = HardwareSettings(),  # noqa: B008
) -> None:
    """What a model forgot, and what else changed. The same again takes every shard from the cache.

    Args:
        model: ``zoo``, a diffusers folder, a hub id, ``s3://BUCKET/PREFIX``, ``models:/NAME@ALIAS``,
            ``models:/NAME/VERSION``, or an alias or number of the registered model.
        against: what it is measured against, named likewise.
        targets: ``KIND:NAME`` each; without any, only retention and quality are measured.
        world: ``zoo`` or a YAML file: what the models draw, and in which words.
        judges: ``zoo``, an open_clip model, or two, ``ONE + OTHER``.
        evaluation: sample sizes and seeds, and what distances are measured between.
        drawing: how pictures are drawn.
        comeback: ``none``, ``quick`` or ``full``: try to bring each target back, one cached step a target.
        never_saw: a model that never saw the targets, to compare with; named as the others.
        folder: where page and tables go, in a folder of their own.
        hide_target_pictures: leave pictures of the targets out of the page altogether.
        hardware: where models run, and in which precision; each shard is a step, drawn by one process.
    """
    tests = chosen_comeback(comeback, targets, never_saw)
    name, read, plan, draw = placed(name_case, open_model, plan_evaluation, draw_shard)
    score, attack, write = placed(score_evaluation, try_comeback, write_evaluation)
    case = name(targets, world, judges, drawing, hardware)
    after, after_facts = read(model, "model")
    before, before_facts = read(against, "against")
    shards, paired, cut_off = plan(after, before, case, evaluation)
    asked = {"case": unmapped(case), "settings": evaluation}
    drawn_before, judged_before = draw.map(model=unmapped(before), shard=shards, **asked).unpack()
    drawn_after, judged_after = draw.map(model=unmapped(after), shard=paired, **asked).unpack()
    models = [after_facts, before_facts]
    result, pictures = score(case, evaluation, models, shards, judged_before, judged_after, cut_off)
    reports = []
    if tests:
        reference = {"never_saw": read(never_saw, "never_saw")[0]} if never_saw else {}
        reports = [attack(before, after, target, case, tests, **reference) for target in case.load().targets]
    rows = choose(Scores(result.load(), pictures.load()), hide_target_pictures).rows
    shown = sorted({number for number, _ in shards_of(rows, shards.load()).values()})
    write(
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
