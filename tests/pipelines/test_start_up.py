"""What a pipeline imports before it knows that there is something to do."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEAVY = {
    "boto3",
    "diffusers",
    "matplotlib",
    "mlflow",
    "open_clip",
    "pandas",
    "scipy.stats",
    "sklearn",
    "torch",
    "torchmetrics",
    "torchvision",
    "transformers",
}


def loaded_by(code: str, **environment: str) -> set[str]:
    """The heavy packages that are loaded when a program ends."""
    program = f"import json, sys\n{code}\nprint(json.dumps(sorted(set(sys.modules) & set({sorted(HEAVY)}))))"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_importing_the_pipeline_loads_nothing_heavy() -> None:
    assert loaded_by("import pipelines.unlearn_pipeline") == set()


@pytest.mark.slow
def test_a_run_with_nothing_to_do_loads_nothing_heavy(tmp_path: Path) -> None:
    code = f"""
from pathlib import Path
from zenml.client import Client
Client.initialize(Path({str(tmp_path)!r}))
from pipelines.unlearn_pipeline import unlearn_pipeline
run = unlearn_pipeline(inbox={str(tmp_path / "inbox")!r})
assert str(run.status) == "completed" and list(run.steps) == ["collect_takedowns"]
"""
    home = {"ZENML_CONFIG_PATH": str(tmp_path / "config"), "ZENML_REPOSITORY_PATH": str(tmp_path)}
    assert loaded_by(code, **home) == set()


def test_what_stays_idle_of_zenml_is_still_installed_and_known() -> None:
    code = """
import steps
from zenml.integrations.registry import integration_registry
from zenml.integrations.mlflow.flavors import MLFlowExperimentTrackerFlavor
found = {name: integration_registry.integrations[name] for name in ("mlflow", "pytorch", "sklearn", "pandas", "scipy")}
assert all(each.check_installation() for each in found.values())
assert MLFlowExperimentTrackerFlavor in found["mlflow"].flavors()
integration_registry.activate_integrations()
"""
    assert loaded_by(code) == set()


def test_every_other_step_says_how_its_artifacts_are_stored() -> None:
    for path in sorted((ROOT / "steps").glob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        if not any(isinstance(node, ast.FunctionDef) and node.decorator_list for node in tree.body):
            continue
        imported = {each.name for node in tree.body if isinstance(node, ast.Import) for each in node.names}
        assert ("materializers" in imported) != (path.stem == "collect_takedowns"), path
