"""The main job with inbox and artifacts in a real object store and a real tracking server."""

from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest

from expunge.errors import ExpungeError
from expunge.takedown.inbox import Inbox
from expunge.takedown.model_name import DEFAULT_NAME
from expunge.takedown.object_store import open_store
from infra.s3_stack import register_s3_stack
from infra.tracking_server import tracking_server
from tests.pipelines.test_purge import tiny_job

pytestmark = pytest.mark.slow
INBOX = "s3://expunge/main-job/inbox"


@pytest.fixture
def servers(s3_server: str, zenml_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    from zenml.client import Client

    monkeypatch.chdir(tmp_path)
    before = Client().active_stack_model.id
    with tracking_server(tmp_path / "mlflow", "s3://mlflow") as url:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", url)
        register_s3_stack("s3", "s3://zenml")
        yield url
        Client().activate_stack(before)


def keys(bucket: str) -> list[str]:
    return [each["Key"] for each in boto3.client("s3").list_objects_v2(Bucket=bucket).get("Contents", [])]


def test_from_a_request_in_a_bucket_to_a_model_in_a_bucket(servers: str, tiny_folder: Path) -> None:
    from expunge.release.registry import Registry
    from pipelines.unlearn_pipeline import unlearn_pipeline

    box = Inbox(open_store(INBOX))
    cat = box.file(kind="object", target="cat").request.id
    run = unlearn_pipeline(**tiny_job(INBOX, tiny_folder) | {"registered_model": DEFAULT_NAME})

    assert str(run.status) == "completed"
    assert box.state(cat).label == "fulfilled"
    artifact = run.steps["unlearn"].outputs["unlearned_model"][0]
    assert artifact.uri.startswith("s3://zenml/")
    assert any(key.endswith("unet/diffusion_pytorch_model.safetensors") for key in keys("zenml"))
    assert any(key.endswith("report.html") for key in keys("mlflow"))
    champion = Registry().champion()
    assert champion is not None and champion.tags["requests"] == cat
    assert (Registry().folder(champion.version) / "model_index.json").is_file()
    assert not Path(".expunge/mlflow.db").exists()


def test_a_stack_is_found_again_and_not_moved(s3_server: str, zenml_home: Path) -> None:
    from zenml.client import Client

    before = Client().active_stack_model.id
    try:
        assert register_s3_stack("s3", "s3://zenml") == register_s3_stack("s3", "s3://zenml")
    finally:
        Client().activate_stack(before)
    with pytest.raises(ExpungeError, match="name: stack 's3' keeps its artifacts in s3://zenml, not in s3://other"):
        register_s3_stack("s3", "s3://other")
    with pytest.raises(ExpungeError, match="path: '/tmp/x' given; must be s3://BUCKET"):
        register_s3_stack("s3", "/tmp/x")
