"""The whole job on every family, with all of the denoiser trained."""

from pathlib import Path

import pytest

from tests.families import FAMILIES
from tests.pipelines.every_family import forget_with

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_a_request_becomes_a_champion(name: str, tmp_path: Path, monkeypatch, zenml_home) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    forget_with(name, tmp_path, {})
