"""The main job on models too small to draw anything."""

from pathlib import Path
from typing import Any

import yaml

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
