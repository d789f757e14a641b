"""Nothing outside the models room names a family, a UNet, a scheduler or one text encoder."""

import ast
from pathlib import Path

import pytest

from tests.conftest import ROOT

# The zoo builds models of its own, so it may name what they are made of. MLflow runs the last one without Expunge.
EXEMPT = tuple(ROOT / "expunge" / each for each in ("models", "zoo", "release/pyfunc_model.py"))
FILES = [
    path
    for room in ("expunge", "steps", "pipelines", "materializers")
    for path in sorted((ROOT / room).rglob("*.py"))
    if not any(path.is_relative_to(each) for each in EXEMPT)
]
NAMES = {"unet", "vae", "text_encoder", "scheduler", "training_scheduler", "StableDiffusion", "ClassConditional"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_family_is_named_outside_the_models_room(path: Path):
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute):
            found.add(node.attr)
        elif isinstance(node, (ast.Name, ast.arg)):
            found.add(node.id if isinstance(node, ast.Name) else node.arg)
        elif isinstance(node, ast.ImportFrom):
            found |= {f"diffusers.{each.name}" for each in node.names if (node.module or "").startswith("diffusers")}
    named = {each for each in found if each in NAMES or each.startswith("diffusers.") or each.endswith("Scheduler")}
    assert not named, f"{path.relative_to(ROOT)} names {', '.join(sorted(named))}"
