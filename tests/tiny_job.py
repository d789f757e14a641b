"""The main job on models too small to draw anything."""

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from expunge.case import name_case
from expunge.evaluation.evaluation_settings import EvaluationSettings
from expunge.evaluation.look import look_for_targets
from expunge.models.resolver import load_text_to_image
from expunge.pictures.drawing import DrawingSettings
from expunge.pictures.picture_store import PictureStore
from tests.steps.test_entrypoints import EASY, WORLD
from tests.tiny_clip import make_tiny_clip


def main_job(folder: Path, model: Path) -> dict[str, Any]:
    """Its parameters, as YAML can hold them, to be run in ``folder``, where its world and its judge are made."""
    (folder / "world.yaml").write_text(yaml.safe_dump(WORLD, sort_keys=False), encoding="utf-8")
    return {
        "base_model": str(model),
        "world": "world.yaml",
        "judges": f"local-dir:{make_tiny_clip(folder.resolve() / 'clip')}",
        "drawing": {"steps": 1, "guidance": 1},
        "diversification": {"pool_per_stratum": 1, "forget_size": 6, "paired_size": 3},
        "gradients": {"batch_size": 8},
        "unlearning": {"steps": 2, "forget_batch_size": 2, "retain_batch_size": 2, "check_every": 2},
        "check": {"pictures": 3, "steps": 1},
        "evaluation": {"held_out_per_stratum": 1, "target_pictures": 6, "reference_pictures": 12},
        "gate": EASY.model_dump(mode="json"),
        "hardware": {"device": "cpu"},
    }


def told_apart(job: dict[str, Any], names: Iterable[str]) -> tuple[str, str]:
    """Of names of objects one that the judge finds in what the tiny model draws for it, and one that it does not.

    The judge's weights are random: it takes nearly every picture for the same thing.
    """
    model, drawing = load_text_to_image(job["base_model"]), DrawingSettings.model_validate(job["drawing"])
    sizes = EvaluationSettings.model_validate(job["evaluation"]).with_pool(1, 0)
    found: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            case = name_case([f"object:{name}"], job["world"], job["judges"], drawing)
            look, _ = look_for_targets(model, case, sizes, 0.5, PictureStore(Path(folder)))
            found.setdefault(look.targets[0].verdict, name)
    return found["drawn"], found["nothing to remove"]
