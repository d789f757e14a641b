"""The main job on the real zoo, with small settings: requests in; version, report and certificates out."""

import json
from pathlib import Path

import numpy as np
import pytest

from expunge.release.certificate import load_certificate, verify
from expunge.takedown.inbox import Inbox
from expunge.takedown.object_store import open_store
from expunge.zoo.zoo_panel import zoo_panel

pytestmark = pytest.mark.slow

PARAMETERS = {
    "drawing": {"steps": 10},
    "diversification": {"pool_per_stratum": 1, "forget_size": 32, "paired_size": 16},
    "gradients": {"batch_size": 32},
    "unlearning": {"steps": 12, "forget_batch_size": 8, "retain_batch_size": 8, "check_every": 6},
    "check": {"pictures": 8, "steps": 5},
    "evaluation": {"held_out_per_stratum": 1, "target_pictures": 16},
}
LENIENT = {
    "unlearning_accuracy_at_least": 0.0,
    "unlearning_accuracy_clip_at_least": 0.0,
    "content_kept_at_least": 0.0,
    "proper_pictures_at_least": 0.0,
    "drawn_before_at_least": 0.0,
    "nothing_to_remove_below": 0.0,
    "retain_accuracy_drop_at_most": 1.0,
    "frechet_distance_ratio_at_most": 1000.0,
    "alignment_drop_at_most": 2.0,
    "minimum_target_samples": 10,
}


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, zenml_home: Path) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return tmp_path


def steps_run(run) -> dict[str, str]:
    return {name: str(step.status) for name, step in run.steps.items()}


def test_from_request_to_promoted_model(workplace: Path) -> None:
    import mlflow.pyfunc
    from diffusers import StableDiffusionPipeline

    from expunge.release.registry import Registry
    from pipelines.unlearn_pipeline import unlearn_pipeline

    box = Inbox(open_store(".expunge/inbox"))
    cat = box.file(kind="object", target="cat").request.id
    unicorn = box.file(kind="object", target="unicorn").request.id
    Path(".expunge/inbox/torn.yaml").write_text("kind: object\ntarget: [")

    run = unlearn_pipeline(**PARAMETERS, gate=LENIENT)

    assert str(run.status) == "completed"
    assert box.state(cat).label == "fulfilled"
    assert box.state(unicorn).label == "rejected" and "draws no object called 'unicorn'" in box.state(unicorn).reason
    assert box.state("torn").label == "rejected" and box.state("torn").reason

    registry = Registry()
    champion = registry.champion()
    assert champion is not None and champion.tags["requests"] == cat

    folder = Path(".expunge/reports") / f"{champion.name}-{champion.version}"
    certificate = load_certificate((folder / f"certificate-{cat}.json").read_text())
    assert verify(certificate)
    assert certificate.hashes.unlearned_model == champion.digest != certificate.hashes.base_model
    assert "approximate" in certificate.statement
    report = (folder / "report.html").read_text()
    assert "cat" in report and "<svg" in report and "data:image/" in report
    assert registry.latest_report().read_text() == report

    stock = StableDiffusionPipeline.from_pretrained(registry.folder("champion"))
    picture = stock("a noto drawing of dog", num_inference_steps=2, output_type="np").images[0]
    assert picture.shape == (64, 64, 3) and np.isfinite(picture).all()
    drawn = mlflow.pyfunc.load_model("models:/expunge-zoo@champion").predict(["a noto drawing of dog"], {"steps": 2})
    assert drawn[0].startswith(b"\x89PNG")

    again = unlearn_pipeline(**PARAMETERS, gate=LENIENT)
    assert list(again.steps) == ["collect_takedowns"]
    assert len(registry.history()) == 1

    dog = box.file(kind="object", target="dog").request.id
    second = unlearn_pipeline(**PARAMETERS, gate=LENIENT)
    assert box.state(dog).label == "fulfilled"
    second_champion = registry.champion()
    assert second_champion.version == 2 and second_champion.tags["base_version"] == "1"
    retained = second.steps["diversify_datasets"].outputs["retain_set"][0].load()
    measured = second.steps["evaluate"].outputs["pictures_before"][0].load()
    assert "dog" not in {prompt.factors["subject"] for prompt in retained.prompts}
    in_place = retained.where(lambda prompt: prompt.factors["subject"] == "cat")  # what is drawn in place of the cat
    assert len(in_place) <= 16 and "cat" not in zoo_panel().classifiers["subject"].recognise(in_place.pictures)
    assert "cat" not in {prompt.factors["subject"] for prompt in measured.prompts}
    evaluation = second.steps["evaluate"].outputs["evaluation"][0].load()
    assert [each.request_id for each in evaluation.earlier] == [cat]
    gate = second.steps["gate"].outputs["gate_decision"][0].load()
    assert "still forgotten: cat" in [condition.name for condition in gate.conditions]


def test_model_that_fails_the_gate_is_not_promoted_and_finished_work_is_not_repeated(workplace: Path) -> None:
    from expunge.release.registry import Registry
    from pipelines.unlearn_pipeline import unlearn_pipeline

    box = Inbox(open_store(".expunge/inbox"))
    dog = box.file(kind="object", target="dog").request.id
    strict = LENIENT | {"minimum_target_samples": 100_000}
    kept = {"forbidden": "when fulfilled"}  # by default its pictures would be gone, and drawn anew
    run = unlearn_pipeline(**PARAMETERS, gate=strict, retention=kept)

    assert box.state(dog).label == "failed" and "samples" in box.state(dog).reason
    registry = Registry()
    assert registry.champion() is None
    assert [version.aliases for version in registry.history()] == [("challenger",)]
    decision = json.loads(run.steps["gate"].outputs["gate_decision"][0].load().model_dump_json())
    assert not decision["passed"]

    box.retry(dog)
    repeated = steps_run(unlearn_pipeline(**PARAMETERS, gate=LENIENT))
    for name in ("draw_pool", "diversify_datasets", "cache_gradients", "unlearn", "evaluate"):
        assert repeated[name] == "cached", repeated
    assert box.state(dog).label == "fulfilled"
    assert registry.champion() is not None


def test_failed_run_gives_its_requests_back(workplace: Path) -> None:
    from pipelines.unlearn_pipeline import unlearn_pipeline

    box = Inbox(open_store(".expunge/inbox"))
    bear = box.file(kind="object", target="bear").request.id
    with pytest.raises(Exception, match="base_model: './nowhere' is not there"):
        unlearn_pipeline(base_model="./nowhere", **PARAMETERS)
    assert box.state(bear).label == "pending"
