"""The whole evaluation pipeline on two tiny models: mapped shards, a page, and a second run that draws nothing."""

import json
from pathlib import Path

import pytest
import yaml

from tests.steps.test_entrypoints import WORLD
from tests.tiny import make_tiny_pipeline
from tests.tiny_clip import make_tiny_clip

pytestmark = pytest.mark.slow
SIZES = {
    "held_out_pictures": 12,
    "train_pictures": 12,
    "reference_pictures": 12,
    "target_pictures": 4,
    "wording_pictures": 2,
    "composition_pictures": 2,
    "shard_size": 8,
    "seed": 5,
}


def test_from_two_folders_to_a_page_and_again(
    zenml_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from expunge.evaluation.evaluation_settings import EvaluationSettings
    from expunge.pictures.drawing import DrawingSettings
    from pipelines.evaluation_pipeline import evaluation_pipeline

    monkeypatch.chdir(tmp_path)
    Path("world.yaml").write_text(yaml.safe_dump(WORLD, sort_keys=False))
    parameters = {
        "model": str(make_tiny_pipeline(tmp_path / "other", seed=1, context=96)),
        "against": str(make_tiny_pipeline(tmp_path / "base", context=96)),  # compositions are long
        "targets": ["object:cat"],
        "world": "world.yaml",
        "judges": f"local-dir:{make_tiny_clip(tmp_path / 'clip')}",
        "evaluation": EvaluationSettings.model_validate(SIZES),
        "drawing": DrawingSettings(steps=1, guidance=1),
        "folder": "evaluations",
    }
    run = evaluation_pipeline(**parameters)
    assert str(run.status) == "completed"
    shards = [name for name in run.steps if name.startswith("map:draw_shard") or name.startswith("draw_shard")]
    (written,) = Path("evaluations").iterdir()
    result = json.loads((written / "evaluation.json").read_text())
    assert result["evaluation"]["rest"]["retain_accuracy"]["after"]["samples"] > 0
    page = (written / "evaluation.html").read_text()
    assert str(run.steps["write_evaluation"].outputs["evaluation_page"][0].load()) == page
    planned = len(run.steps["plan_evaluation"].outputs["shards"][0].load())
    both = len(run.steps["plan_evaluation"].outputs["paired"][0].load())
    assert len(shards) == planned + both and planned > both >= 4

    again = evaluation_pipeline(**parameters)
    assert {str(again.steps[name].status) for name in shards} == {"cached"}
    assert json.loads((written / "evaluation.json").read_text()) == result


def test_a_target_that_nobody_draws_ends_the_run(zenml_home: Path, tiny_folder: Path, tmp_path: Path) -> None:
    from expunge.errors import ExpungeError
    from pipelines.evaluation_pipeline import evaluation_pipeline

    folder = str(tiny_folder)
    with pytest.raises(ExpungeError, match="the model draws no object called 'unicorn'"):
        evaluation_pipeline(model=folder, against=folder, targets=["object:unicorn"])
