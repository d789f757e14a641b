"""From pending takedown requests to a registered, promoted model with its evidence."""

from typing import Any

from zenml import pipeline

from expunge.evaluation.evaluation_settings import EvaluationSettings
from expunge.evaluation.gate import GateThresholds
from expunge.pictures.drawing import DrawingSettings
from expunge.release.model_name import check_name
from expunge.takedown.inbox import Inbox
from expunge.takedown.object_store import open_store
from expunge.unlearning.unlearn_settings import (
    CheckSettings,
    DiversificationSettings,
    GradientSettings,
    UnlearnSettings,
)
from steps.collect_takedowns import collect_takedowns


@pipeline(dynamic=True, enable_cache=True)
def unlearn_pipeline(
    inbox: str = ".expunge/inbox",
    base_model: str = "zoo",
    registered_model: str = "expunge-zoo",
    world: str = "zoo",
    judges: str = "zoo",
    drawing: DrawingSettings = DrawingSettings(),  # noqa: B008
    diversification: DiversificationSettings = DiversificationSettings(),  # noqa: B008
    gradients: GradientSettings = GradientSettings(),  # noqa: B008
    unlearning: UnlearnSettings = UnlearnSettings(),  # noqa: B008
    check: CheckSettings = CheckSettings(),  # noqa: B008
    evaluation: EvaluationSettings = EvaluationSettings(),  # noqa: B008
    gate: GateThresholds = GateThresholds(),  # noqa: B008
    comeback: str = "none",
    device: str = "auto",
    hide_target_pictures: bool = False,
) -> None:
    """Work on every pending takedown request; with none pending, end at once.

    Args:
        inbox: folder or ``s3://BUCKET/PREFIX`` that holds the requests.
        base_model: ``zoo``, a diffusers folder, a hub id or an ``s3://`` URL; used until there is a champion.
        registered_model: name in the MLflow registry.
        world: ``zoo`` or a YAML file: what the model draws, and in which words.
        judges: ``zoo`` or an open_clip model.
        drawing: how pictures are drawn.
        diversification: size and make-up of the forget and retain sets.
        gradients: how the gradients at the base model are measured.
        unlearning: method and its settings.
        check: how forgetting is measured while unlearning.
        evaluation: sample sizes.
        gate: thresholds for promotion.
        comeback: ``none``, ``quick`` or ``full``: try to bring each target back, for the report. The gate does not ask.
        device: ``auto`` (a GPU where there is one), ``cpu``, ``cuda`` or another name that torch knows.
        hide_target_pictures: leave pictures of the targets out of the report altogether.
    """
    check_name(registered_model)
    tests = _chosen_comeback(comeback)
    config: dict[str, Any] = {
        "base_model": base_model,
        "world": world,
        "judges": judges,
        "comeback": comeback,
        **{
            name: settings.model_dump(mode="json")
            for name, settings in {
                "drawing": drawing,
                "diversification": diversification,
                "gradients": gradients,
                "unlearning": unlearning,
                "check": check,
                "evaluation": evaluation,
                "gate": gate,
            }.items()
        },
    }
    takedowns = collect_takedowns(inbox, world)
    pending = [request.id for request in takedowns.load().requests]
    if not pending:
        print(f"No takedown request is pending in {inbox}: nothing to do. File one with: expunge takedown file --help")
        return
    # Torch and the rest take ten seconds to import: a run with nothing to do ends without them.
    from steps.cache_gradients import cache_gradients
    from steps.close_takedowns import close_takedowns
    from steps.diversify_datasets import diversify_datasets
    from steps.draw_pool import draw_pool
    from steps.evaluate import evaluate
    from steps.gate import gate as hold_gate
    from steps.gather_findings import gather_findings
    from steps.load_base_model import load_base_model
    from steps.promote_model import promote_model
    from steps.register_model import register_model
    from steps.resolve_case import resolve_case
    from steps.try_comeback import try_comeback
    from steps.unlearn import unlearn
    from steps.write_report import write_report

    try:
        case = resolve_case(world, judges, drawing, takedowns, device)
        base, base_facts = load_base_model(base_model, registered_model)
        pool = draw_pool(base, case, diversification)
        forget, retain, diversity = diversify_datasets(base, pool, case, inbox, diversification)
        cache = cache_gradients(base, forget, retain, case, gradients, unlearning.forgetting())
        unlearned, trace = unlearn(base, forget, retain, cache, case, unlearning, check)
        measured = evaluation.with_pool(diversification.pool_per_stratum, diversification.seed)
        scores, before, after = evaluate(base, unlearned, case, measured)
        targets = case.load().targets if tests else ()
        reports = [try_comeback(base, unlearned, each, case, tests, forget=forget) for each in targets]
        decision = hold_gate(scores, gate)
        findings = gather_findings(base_facts, unlearned, forget, retain, case, scores, decision, config)
        version = register_model(unlearned, findings, registered_model)
        if decision.load().passed:
            version = promote_model(version, decision)
        report = write_report(findings, reports, before, after, trace, cache, diversity, hide_target_pictures)
        close_takedowns(inbox, findings, version, report)
    except BaseException:
        release_unfinished(inbox, pending)
        raise


def _chosen_comeback(comeback: str) -> Any:
    """The comes-back tests' settings, or None. They stand beside the tests, which import torch."""
    if comeback == "none":
        return None
    from expunge.comeback.comeback_settings import chosen_comeback

    return chosen_comeback(comeback)


def release_unfinished(inbox: str, request_ids: list[str]) -> None:
    """Make requests that a failed run leaves claimed pending again."""
    box = Inbox(open_store(inbox))
    for request_id in request_ids:
        if box.state(request_id).claim is not None:
            box.release(request_id, "the run that held it failed")
