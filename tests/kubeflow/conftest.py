"""Kubeflow's own environment, and what its compiler makes of the pipeline."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import ROOT

Kubeflow = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def kubeflow() -> Kubeflow:
    """Runs Python in Kubeflow's environment, in the project's folder; made if it is not there."""
    subprocess.run(["make", "--silent", "setup-kubeflow"], cwd=ROOT, check=True, capture_output=True)

    def run(*words: str | Path) -> subprocess.CompletedProcess[str]:
        command = [ROOT / ".venv-kubeflow" / "bin" / "python", *words]
        # Nothing of Expunge's own environment is on its path.
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
        return subprocess.run(command, cwd=ROOT, env=clean, capture_output=True, encoding="utf-8")

    return run
