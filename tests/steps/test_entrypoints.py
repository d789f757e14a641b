"""Each step on real, tiny input, without a pipeline around it.

``collect_takedowns`` and ``write_report`` ask for their run: the end-to-end test runs them.
"""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import yaml

from expunge.case import ON_CPU
from expunge.evaluation.evaluation_settings import EvaluationSettings
from expunge.evaluation.gate import GateThresholds
from expunge.pictures.drawing import DrawingSettings
from expunge.prompts.load_world import load_world
from expunge.prompts.target import unworkable
from expunge.release.base_model import FirstModel
from expunge.release.certificate import load_certificate
from expunge.release.registry import Registry
from expunge.takedown.inbox import Inbox
from expunge.takedown.object_store import open_store
from expunge.takedown.owner import this_owner
from expunge.unlearning.unlearn_settings import (
    CheckSettings,
    DiversificationSettings,
    GradientSettings,
    UnlearnSettings,
)
from tests.tiny_clip import make_tiny_clip

pytestmark = pytest.mark.slow

WORLD = {
    "templates": {
        "train": ["{subject} in {style}", "the {subject} by {style}"],
        "held_out": ["a {subject} of {style}", "{style} {subject} on white"],
    },
    "factors": {
        "subject": {name: {"train": [name], "held_out": [f"the {name}"]} for name in ("cat", "dog", "horse", "car")},
        "style": {name: {"train": [name], "held_out": [name]} for name in ("noto", "twemoji", "fluent")},
    },
}
DRAWING = DrawingSettings(steps=1, guidance=1)
EASY = GateThresholds(
    unlearning_accuracy_at_least=0.0,
    unlearning_accuracy_clip_at_least=0.0,
    content_kept_at_least=0.0,
    proper_pictures_at_least=0.0,
    drawn_before_at_least=0.0,
    nothing_to_remove_below=0.0,
    retain_accuracy_drop_at_most=1.0,
    frechet_distance_ratio_at_most=1000.0,
    alignment_drop_at_most=2.0,
    minimum_target_samples=4,
    minimum_retain_samples=4,
)
STRICT = EASY.model_copy(update={"minimum_target_samples": 1000})


@pytest.fixture(scope="module")
def run(zenml_home: Path, tiny_folder: Path, tmp_path_factory):
    """All steps that need no run context, one after the other; every result by the step's name."""
    from steps.cache_gradients import cache_gradients
    from steps.diversify_datasets import diversify_datasets
    from steps.draw_pool import draw_pool
    from steps.evaluate import evaluate
    from steps.finish_takedowns import finish_takedowns
    from steps.gate import gate
    from steps.gather_findings import gather_findings
    from steps.load_base_model import load_base_model
    from steps.register_model import register_model
    from steps.resolve_case import resolve_case
    from steps.settle_version import settle_version
    from steps.unlearn import unlearn

    home = tmp_path_factory.mktemp("steps")
    judges = f"local-dir:{make_tiny_clip(home / 'clip')}"
    (home / "world.yaml").write_text(yaml.safe_dump(WORLD, sort_keys=False))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        box = Inbox(open_store("inbox"), "tiny")
        box.file(kind="object", target="cat")
        world = load_world("world.yaml")
        batch = box.claim_pending(this_owner("a-run"), lambda batch: unworkable(batch, world))

        base, facts = load_base_model.entrypoint(str(tiny_folder), "tiny", "inbox")
        sizes = DiversificationSettings(pool_per_stratum=1, forget_size=6, paired_size=3)
        case = resolve_case.entrypoint("world.yaml", judges, DRAWING, batch, ON_CPU)
        pool = draw_pool.entrypoint(base, facts, case, sizes)
        forget, retain, diversity = diversify_datasets.entrypoint(base, facts, pool, case, "inbox", sizes)
        how = UnlearnSettings(steps=2, forget_batch_size=2, retain_batch_size=2, check_every=2)
        forgetting = how.forgetting()
        cache = cache_gradients.entrypoint(
            base, facts, forget, retain, case, GradientSettings(batch_size=8), forgetting
        )
        check = CheckSettings(pictures=3, steps=1)
        unlearned, trace = unlearn.entrypoint(base, facts, forget, retain, cache, case, how, check)
        few = EvaluationSettings(
            held_out_per_stratum=1, target_pictures=6, earlier_pictures=6, reference_pictures=12
        ).with_pool(1, 0)
        scores, before, after = evaluate.entrypoint(base, unlearned, case, few)
        refusal, decision = (gate.entrypoint(scores, thresholds) for thresholds in (STRICT, EASY))
        config = {"unlearning": how.model_dump(mode="json")}
        findings = gather_findings.entrypoint(facts, unlearned, forget, retain, case, scores, decision, config)
        version = register_model.entrypoint(unlearned, findings, "tiny", "<p>report</p>")
        settled = settle_version.entrypoint("inbox", version, this_owner("a-run"))
        champion = Registry(name="tiny").champion()
        nothing_left = finish_takedowns.entrypoint("inbox", "tiny", batch, this_owner("a-run"))
        next_base, next_facts = load_base_model.entrypoint(str(tiny_folder), "tiny", "inbox")
        box.file(kind="object", target="dog")
        next_batch = box.claim_pending(this_owner("a-run"), lambda batch: unworkable(batch, world))
        next_case = resolve_case.entrypoint("world.yaml", judges, DRAWING, next_batch, ON_CPU)
        next_pool = draw_pool.entrypoint(next_base, next_facts, next_case, sizes)
        next_forget, next_retain, _ = diversify_datasets.entrypoint(
            next_base, next_facts, next_pool, next_case, "inbox", sizes
        )
        next_cache = cache_gradients.entrypoint(
            next_base, next_facts, next_forget, next_retain, next_case, GradientSettings(batch_size=8), forgetting
        )
        next_sets = next_base, next_facts, next_forget, next_retain, next_cache, next_case
        next_unlearned, _ = unlearn.entrypoint(*next_sets, how.model_copy(update={"forget": {"anchor": 1.0}}), check)
        next_scores, next_before, _ = evaluate.entrypoint(next_base, base, next_case, few)
        yield SimpleNamespace(**locals())


def test_the_base_is_the_configured_one_until_there_is_a_champion(run, tiny_folder, tiny_model):
    assert (run.facts.source, run.facts.version, run.facts.digest) == (
        str(tiny_folder),
        None,
        tiny_model.digest(),
    )
    assert run.next_facts.source == "models:/tiny/1" and run.next_facts.version == 1
    assert run.next_base.digest() == run.next_facts.digest == run.unlearned.digest()
    assert run.facts.first is None and run.facts.first_digest == run.next_facts.first_digest == tiny_model.digest()


def test_after_the_first_takedown_what_the_first_model_draws_is_retained_and_nothing_forgotten(run, tiny_model):
    assert run.next_facts.first == FirstModel(source=run.facts.source, digest=tiny_model.digest())
    pool = run.next_pool
    assert len(pool) and not any(run.next_case.asks_for_forgotten(prompt) for prompt in pool.prompts)
    drawn = tiny_model.draw([each.text for each in pool.prompts], list(pool.seeds), **DRAWING.how())
    assert np.array_equal(drawn, pool.pictures)


def test_the_pool_is_drawn_over_the_whole_world_on_the_train_side(run):
    assert len(run.pool) == 12 and {prompt.side for prompt in run.pool.prompts} == {"train"}


def test_sets_are_told_apart_by_the_target(run):
    assert {prompt.factors["subject"] for prompt in run.forget.prompts} == {"cat"} and len(run.forget) == 6
    assert {prompt.factors["subject"] for prompt in run.retain.prompts} == {"dog", "horse", "car"}
    assert "in place of cat" in set(run.diversity["set"])


def test_gradients_and_unlearning_belong_together(run):
    assert set(run.cache.retain) == {name for name, _ in run.base.denoiser.named_parameters()}
    assert list(run.trace["step"]) == [1, 2] and run.trace["forget_loss"].notna().all()
    assert run.unlearned.digest() != run.base.digest() == run.facts.digest


def test_evaluation_is_paired(run):
    assert (run.before.prompts, run.before.seeds) == (run.after.prompts, run.after.seeds)
    (target,) = run.scores.targets
    assert target.name == "cat" and target.numbers["unlearning_accuracy"].after.samples == 6


def test_the_gate_decides_and_promotion_obeys(run):
    assert run.decision.passed and not run.refusal.passed
    assert run.version.aliases == ("challenger",) and run.champion.aliases == ("champion",)
    assert run.settled == "promoted" and run.nothing_left.requests == ()


def test_lineage_goes_with_the_version(run):
    (request,) = run.batch.requests
    assert set(run.findings.lineage.requests) == {request.id}
    assert run.version.digest == run.findings.lineage.hashes.unlearned_model == run.unlearned.digest()
    hashes = run.findings.lineage.hashes
    assert (hashes.forget_set, hashes.case) == (run.forget.digest(), run.case.digest())
    assert hashes.judges == run.case.judges_digest
    assert run.version.tags["requests"] == request.id


def test_the_request_is_closed_with_its_certificate(run):
    (request,) = run.batch.requests
    state = run.box.state(request.id)
    folder = run.home / ".expunge/reports/tiny-1"
    certificate = load_certificate((folder / f"certificate-{request.id}.json").read_text(encoding="utf-8"))
    assert state.label == "fulfilled" and state.certificate == certificate.model_dump(mode="json")
    assert certificate.request.id == request.id and certificate.registered_version == "1"
    assert (folder / "report.html").read_text(encoding="utf-8") == "<p>report</p>"


def test_a_second_run_keeps_what_the_first_forgot_forgotten_and_asks_for_it_again(run):
    assert [request.target for request in run.next_batch.forgotten] == ["cat"]
    assert {prompt.factors["subject"] for prompt in run.next_forget.prompts} == {"dog"}
    asked = [prompt.factors["subject"] for prompt in run.next_retain.prompts]
    assert set(asked) - {"cat"} == {"horse", "car"} and asked.count("cat") <= 16  # what is drawn in place of the cat
    assert {prompt.factors["subject"] for prompt in run.next_before.prompts} == {"dog", "horse", "car"}
    assert [target.name for target in run.next_scores.earlier] == ["cat"]
    assert [target.name for target in run.next_scores.targets] == ["dog"]
    assert "cat" not in {row.level for row in run.next_scores.collateral}
