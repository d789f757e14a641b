"""An adapter trained on every family; by the whole job on one of each kind."""

from pathlib import Path

import pytest

from tests.families import FAMILIES
from tests.pipelines.every_family import ADAPTER_BY_THE_JOB, forget_with, train_with

pytestmark = pytest.mark.slow
LORA = {"what": "lora", "rank": 4}


@pytest.fixture(autouse=True)
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, zenml_home: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.mark.parametrize("name", ADAPTER_BY_THE_JOB)
def test_a_request_becomes_a_champion(name: str, tmp_path: Path) -> None:
    forget_with(name, tmp_path, LORA)


@pytest.mark.parametrize("name", sorted(set(FAMILIES) - set(ADAPTER_BY_THE_JOB)))
def test_the_jobs_steps_make_an_adapter_that_can_be_champion(name: str, tmp_path: Path) -> None:
    train_with(name, tmp_path, LORA)
