"""Both pipelines with the comes-back tests on, on tiny models: a step a target, cached, and a section on the page."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from expunge.comeback.comeback_settings import PROFILES
from expunge.errors import ExpungeError
from expunge.evaluation.evaluation_settings import EvaluationSettings
from expunge.pictures.drawing import DrawingSettings
from tests.comeback.conftest import SMALL
from tests.steps.test_entrypoints import EASY, WORLD
from tests.steps.test_evaluation import SIZES
from tests.tiny import make_tiny_pipeline
from tests.tiny_clip import make_tiny_clip

pytestmark = pytest.mark.slow


@pytest.fixture
def judged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, zenml_home: Path) -> dict[str, str]:
    """A workplace with world and judges for tiny models, where ``quick`` is of their size."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setitem(PROFILES, "quick", SMALL)
    Path("world.yaml").write_text(yaml.safe_dump(WORLD, sort_keys=False))
    return {"world": "world.yaml", "judges": f"local-dir:{make_tiny_clip(tmp_path / 'clip')}"}


def tried(run: Any) -> dict[str, str]:
    """Status by name of the steps that try to bring a target back."""
    return {name: str(step.status) for name, step in run.steps.items() if name.startswith("try_comeback")}


def test_the_evaluation_tries_each_target_and_does_not_try_it_twice(judged, tmp_path: Path) -> None:
    from pipelines.evaluation_pipeline import evaluation_pipeline

    asked = judged | {
        "model": str(make_tiny_pipeline(tmp_path / "other", seed=1, context=96)),
        "against": str(make_tiny_pipeline(tmp_path / "base", context=96)),
        "targets": ["object:cat", "object:dog", "object:horse"],
        "evaluation": EvaluationSettings.model_validate(SIZES),
        "drawing": DrawingSettings(steps=1, guidance=1),
        "comeback": "quick",
        "never_saw": str(make_tiny_pipeline(tmp_path / "never", seed=2, context=96)),
        "folder": "evaluations",
    }
    run = evaluation_pipeline(**asked)
    assert list(tried(run).values()) == ["completed"] * 3
    (written,) = Path("evaluations").iterdir()
    reports = json.loads((written / "comeback.json").read_text())
    assert [report["target"] for report in reports] == ["cat", "dog", "horse"]
    tested = [report for report in reports if not report["untested"]]
    assert tested  # the tiny model draws noise, which CLIP calls one thing or another
    names = [[model["name"] for model in report["models"]] for report in tested]
    assert names == [["original", "unlearned", "never saw"]] * len(tested)
    page, table = (written / "evaluation.html").read_text(), (written / "evaluation.md").read_text()
    assert page.count("UA on held-out prompts while a copy is fine-tuned") == len(tested)
    assert "Never saw it" in page and "## Does “cat” come back?" in table

    again = evaluation_pipeline(**asked)
    assert set(tried(again).values()) == {"cached"}
    assert json.loads((written / "comeback.json").read_text()) == reports


def test_the_main_job_puts_it_into_the_report(judged, tiny_folder: Path) -> None:
    from expunge.takedown.inbox import Inbox
    from expunge.takedown.object_store import open_store
    from pipelines.unlearn_pipeline import unlearn_pipeline

    box = Inbox(open_store("inbox"), "tiny-comeback")
    filed = [box.file(kind="object", target=name).request.id for name in ("cat", "dog")]
    drawing = {"steps": 1, "guidance": 1}
    run = unlearn_pipeline(
        inbox="inbox", base_model=str(tiny_folder), registered_model="tiny-comeback", **judged, drawing=drawing,
        diversification={"pool_per_stratum": 1, "forget_size": 6, "paired_size": 3}, gradients={"batch_size": 8},
        unlearning={"steps": 2, "forget_batch_size": 2, "retain_batch_size": 2, "check_every": 2},
        check={"pictures": 3, "steps": 1}, evaluation={"held_out_per_stratum": 1, "target_pictures": 6},
        gate=EASY, comeback="quick",
    )  # fmt: skip
    assert list(tried(run).values()) == ["completed"] * 2
    assert {box.state(each).label for each in filed} == {"fulfilled"}
    report = str(run.steps["write_report"].outputs["report"][0].load())
    assert "Does it come back?" in report and "Not tested." not in report
    outcomes = [run.steps[name].outputs["comeback"][0].load() for name in tried(run)]
    assert [each.target for each in outcomes] == ["cat", "dog"]
    assert all(each.untested or each.model("unlearned").membership for each in outcomes)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"comeback": "thorough"}, "comeback: 'thorough' given; there are none, quick, full"),
        ({"comeback": "quick"}, "comeback: 'quick' given, but no target"),
        ({"never_saw": "zoo"}, "never_saw: 'zoo' given, but comeback is 'none'"),
    ],
)
def test_mistakes_end_the_evaluation_before_any_work(parameters, message, judged) -> None:
    from pipelines.evaluation_pipeline import evaluation_pipeline

    with pytest.raises(ExpungeError, match=message):
        evaluation_pipeline(model="./nowhere", **judged, **parameters)
