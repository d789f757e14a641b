"""After closing, no picture of a target is found anywhere, the caches work on, and no run breaks on what is gone."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from expunge.pictures.picture_set import concatenate
from expunge.prompts.target import Target
from tests.conftest import ROOT
from tests.pipelines.pictures_anywhere import files_below, found_in
from tests.steps.test_entrypoints import EASY, WORLD
from tests.tiny_clip import make_tiny_clip

pytestmark = pytest.mark.slow
MODEL = "tiny-purge"


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, zenml_home: Path, tiny_folder: Path) -> dict[str, Any]:
    """Parameters of the main job on tiny models, in a workplace of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    Path("world.yaml").write_text(yaml.safe_dump(WORLD, sort_keys=False))
    return {
        "inbox": "inbox",
        "base_model": str(tiny_folder),
        "registered_model": MODEL,
        "world": "world.yaml",
        "judges": f"local-dir:{make_tiny_clip(tmp_path / 'clip')}",
        "drawing": {"steps": 1, "guidance": 1},
        "diversification": {"pool_per_stratum": 1, "forget_size": 6, "paired_size": 3},
        "gradients": {"batch_size": 8},
        "unlearning": {"steps": 2, "forget_batch_size": 2, "retain_batch_size": 2, "check_every": 2},
        "check": {"pictures": 3, "steps": 1},
        "evaluation": {"held_out_per_stratum": 1, "target_pictures": 6},
        "gate": EASY,
    }


def box_of(job: dict[str, Any]) -> Any:
    from expunge.takedown.inbox import Inbox
    from expunge.takedown.object_store import open_store

    return Inbox(open_store(job["inbox"]), MODEL)


def output(run: Any, step: str, name: str) -> Any:
    return run.steps[step].outputs[name][0].load()


def forbidden(run: Any, target: Target) -> np.ndarray:
    """The pictures of a target that a run's sets of pictures hold, by the model that draws it."""
    sets = [output(run, "draw_pool", "pool"), output(run, "diversify_datasets", "forget_set")]
    sets.append(output(run, "evaluate", "pictures_before"))
    return concatenate([each.where(target.matches) for each in sets]).pictures


def purge_command(*arguments: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "expunge.cli", "purge", "--inbox", "inbox", "--model", MODEL, "--json", *arguments],
        env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, encoding="utf-8",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_kept_pictures_leave_by_the_command_and_a_second_run_takes_from_the_cache(
    job, zenml_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipelines.unlearn_pipeline import unlearn_pipeline

    cat = box_of(job).file(kind="object", target="cat").request.id
    run = unlearn_pipeline(**job, retention={"forbidden": "keep"})
    case = output(run, "resolve_case", "case")
    (target,) = case.targets
    pictures = forbidden(run, target)
    assert len(pictures) >= 12
    everywhere = (zenml_home, tmp_path)
    held = found_in(files_below(*everywhere), pictures)
    kinds = {Path(name).suffix for name in held}
    assert kinds == {".parquet", ".png", ".safetensors", ".html"}, held  # what is looked for can be found

    asked = purge_command("--dry-run")
    assert asked["requests"] == [cat] and asked["artifact_gradients"] == 1
    assert min(asked[name] for name in ("artifact_pictures", "stored_files", "page_pictures")) > 0
    assert found_in(files_below(*everywhere), pictures) == held
    assert purge_command() == asked
    assert found_in(files_below(*everywhere), pictures) == {}
    nothing = purge_command()
    assert not any(value for name, value in nothing.items() if name not in ("requests", "versions"))
