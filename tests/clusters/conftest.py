"""A substitute for a cluster, furnished as Expunge needs it."""

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.clusters.cluster import Cluster, cluster
from tests.clusters.pods import Image
from tests.conftest import IMPATIENCE, ROOT

IMAGE, NAMESPACE = "expunge:tests", "expunge"
# Asked for more often than a cluster is, for tests.
QUICK = {"ZENML_DYNAMIC_PIPELINE_MONITORING_INTERVAL": "1"}


def image() -> Image:
    """This project, as its image has it."""
    environment = {
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
        "PYTHONPATH": f"{ROOT / 'tests' / 'hurried'}:/app",
        "OMP_NUM_THREADS": "1",
        "HF_HUB_OFFLINE": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "ZENML_LOGGING_COLORS_DISABLED": "true",
    }
    return Image(ROOT, environment | IMPATIENCE | QUICK)


def settings_file(folder: Path, **changed: Any) -> Path:
    """Settings of a stack on the substitute, with what is given instead of theirs."""
    whole = {
        "name": "substitute",
        "context": "substitute",
        "namespace": NAMESPACE,
        "image": IMAGE,
        "artifacts": "s3://zenml",
        "zenml": {"url": "http://127.0.0.1:1", "api_key": {"secret": "expunge-zenml", "key": "api-key"}},
    } | changed
    path = folder / "stack.yaml"
    path.write_text(yaml.safe_dump(whole, sort_keys=False), encoding="utf-8")
    return path


def wait_for(what: Callable[[], Any], seconds: float = 300) -> Any:
    """What comes true in the end; the test fails if it does not."""
    until = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < until, f"not after {seconds} s"
        time.sleep(0.2)
    return found


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """A substitute with namespace, accounts and nodes, and nothing else; the environment has its kubeconfig."""
    with cluster(tmp_path / "cluster", {IMAGE: image()}) as made:
        furnish(made)
        monkeypatch.setenv("KUBECONFIG", str(made.kubeconfig))
        yield made


def furnish(made: Cluster) -> None:
    """Namespace, accounts and nodes."""
    made.add_namespace(NAMESPACE, "expunge-runner", "expunge-step")
    made.add_node("cpu-1", pool="cpu")
    made.add_node("gpu-1", gpus=1, images=[f"docker.io/library/{IMAGE}"], pool="gpu")
