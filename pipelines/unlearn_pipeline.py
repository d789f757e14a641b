"""From pending takedown requests to a registered, promoted model with its evidence."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from zenml import pipeline, wait

from expunge.errors import ExpungeError
from expunge.evaluation.evaluation_settings import EvaluationSettings
from expunge.evaluation.gate import GateThresholds
from expunge.models.hardware import HardwareSettings
from expunge.pictures.drawing import DrawingSettings
from expunge.release.retention import RetentionSettings
from expunge.takedown.inbox import Inbox
from expunge.takedown.model_name import check_name
from expunge.takedown.object_store import open_store
from expunge.takedown.request import Kind
from expunge.unlearning.unlearn_settings import (
    CheckSettings,
    DiversificationSettings,
    GradientSettings,
    UnlearnSettings,
)
from pipelines.placement import owner_of_run, placed
from steps.collect_takedowns import collect_takedowns

if TYPE_CHECKING:
    from expunge.release.approving import Answer
    from expunge.release.model_version import ModelVersion

ROUNDS = 5  # how often a run whose base was overtaken goes round again


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
    hardware: HardwareSettings = HardwareSettings(),  # noqa: B008
    hide_target_pictures: bool = False,
    only: list[str] = [],  # noqa: B006
    retention: RetentionSettings = RetentionSettings(),  # noqa: B008
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
        hardware: where models run, and in which precision.
        hide_target_pictures: leave pictures of the targets out of the report altogether.
        only: ids of the requests to work on; all that are pending if empty.
        retention: what becomes of pictures of a target, and of models that still draw it, when its request is closed.
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
                "retention": retention,
            }.items()
        },
    }
    box, owner = Inbox(open_store(inbox), registered_model), owner_of_run()
    (collect,) = placed(collect_takedowns)
    for _ in range(ROUNDS):
        takedowns = collect(inbox, world, registered_model, owner, only)
        if not takedowns.load().requests:
            print(f"No takedown request is pending in {inbox}: nothing to do. File one: expunge takedown file --help")
            return
        # Torch and the rest take ten seconds to import: a run with nothing to do ends without them.
        from steps.cache_gradients import cache_gradients
        from steps.close_absent import close_absent
        from steps.compare_pictures import compare_pictures
        from steps.diversify_datasets import diversify_datasets
        from steps.draw_pool import draw_pool
        from steps.evaluate import evaluate
        from steps.finish_takedowns import finish_takedowns
        from steps.gate import gate as hold_gate
        from steps.gather_findings import gather_findings
        from steps.load_base_model import load_base_model
        from steps.look_for_targets import look_for_targets
        from steps.purge_forbidden import purge_forbidden
        from steps.register_model import register_model
        from steps.resolve_case import resolve_case
        from steps.settle_version import settle_version
        from steps.try_comeback import try_comeback
        from steps.unlearn import unlearn
        from steps.write_report import write_report

        resolve_case, compare_pictures, look_for_targets, draw_pool = placed(
            resolve_case, compare_pictures, look_for_targets, draw_pool
        )
        diversify_datasets, cache_gradients, unlearn, evaluate, try_comeback = placed(
            diversify_datasets, cache_gradients, unlearn, evaluate, try_comeback
        )
        finish_takedowns, load_base_model, close_absent, hold_gate, gather_findings = placed(
            finish_takedowns, load_base_model, close_absent, hold_gate, gather_findings
        )
        write_report, register_model, settle_version, purge_forbidden = placed(
            write_report, register_model, settle_version, purge_forbidden
        )
        with held(box, owner):
            takedowns = finish_takedowns(inbox, registered_model, takedowns, owner)
            if not takedowns.load().requests:
                purge_forbidden(inbox, registered_model, retention)
                print("A run that had died is finished; nothing else is pending.")
                return
            case = resolve_case(world, judges, drawing, takedowns, hardware)
            base, base_facts = load_base_model(base_model, registered_model, inbox)
            measured = evaluation.with_pool(diversification.pool_per_stratum, diversification.seed)
            pictured = _pictured(takedowns)
            if pictured:
                case = compare_pictures(base, case, inbox, measured)
            limit = gate.nothing_to_remove_below
            look, _ = look_for_targets(base, base_facts, case, measured, limit, hide_target_pictures)
            left = close_absent(inbox, registered_model, takedowns, look, base_facts, owner)
            if absent := sorted(_ids(takedowns) - _ids(left)):
                print(f"Nothing to remove, the model does not draw it: {', '.join(absent)}. See expunge takedown show.")
                if not _ids(left):
                    purge_forbidden(inbox, registered_model, retention)  # a run that had died may have been finished
                    return
                case = resolve_case(world, judges, drawing, left, hardware)
                if pictured:
                    case = compare_pictures(base, case, inbox, measured)
            pool = draw_pool(base, base_facts, case, diversification)
            forget, retain, diversity = diversify_datasets(base, base_facts, pool, case, inbox, diversification)
            cache = cache_gradients(base, base_facts, forget, retain, case, gradients, unlearning.forgetting())
            unlearned, trace = unlearn(base, base_facts, forget, retain, cache, case, unlearning, check)
            scores, before, after = evaluate(base, unlearned, case, measured)
            targets = case.load().targets if tests else ()
            reports = [try_comeback(base, unlearned, each, case, tests, forget=forget) for each in targets]
            decision = hold_gate(scores, gate)
            findings = gather_findings(base_facts, unlearned, forget, retain, case, scores, decision, config)
            report = write_report(findings, reports, before, after, trace, cache, diversity, hide_target_pictures)
            version = register_model(unlearned, findings, registered_model, report)
            settled = settle_version(inbox, version, owner).load()
            if settled == "waiting" and gate.approval_wait_minutes:
                settled = settle_version(inbox, version, owner, asked_for(version.load(), gate)).load()
            if settled != "overtaken":
                purge_forbidden(inbox, registered_model, retention)
                return
        print("Another run has promoted its model meanwhile: going round again, on top of that.")
    box.release_all(owner, "overtaken by other runs again and again")
    raise ExpungeError(f"overtaken by other runs {ROUNDS} times; the requests are pending again, for the next run")


def asked_for(version: "ModelVersion", gate: GateThresholds) -> "Answer":
    """Somebody's answer in ZenML: dashboard, terminal, or ``zenml pipeline runs wait-conditions resolve``.

    Without one in time ZenML pauses the run, and the requests wait for ``expunge approve``.
    """
    from expunge.release.approving import Answer

    return wait(
        schema=Answer,
        question=f"{version.name} version {version.version} passed the gate; its report is on its run in MLflow. "
        f"Shall it become champion, without {', '.join(version.requests)}?",
        timeout=round(60 * gate.approval_wait_minutes),
        name=f"approve-{version.name}-{version.version}",
    )


@contextmanager
def held(box: Inbox, owner: str) -> Iterator[None]:
    """Keep the claims of a run up while it works; what an error leaves claimed is pending again."""
    with box.heartbeats.kept_up(owner):
        try:
            yield
        except BaseException:
            box.release_all(owner, "the run that held it failed")
            raise


def _ids(takedowns: Any) -> set[str]:
    """Of the requests in a step's output."""
    return {each.id for each in takedowns.load().requests}


def _pictured(takedowns: Any) -> bool:
    """Whether a request, or one of an earlier run, is about a memorised picture."""
    batch = takedowns.load()
    return any(each.kind is Kind.IMAGES for each in (*batch.requests, *batch.forgotten))


def _chosen_comeback(comeback: str) -> Any:
    """The comes-back tests' settings, or None. They stand beside the tests, which import torch."""
    if comeback == "none":
        return None
    from expunge.comeback.comeback_settings import chosen_comeback

    return chosen_comeback(comeback)
