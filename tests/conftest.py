"""Fixtures that several rooms share."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

ROOT = Path(__file__).resolve().parent.parent
BUCKETS = ("expunge", "zenml", "mlflow")

# Read when their packages are imported, hence here: no test fetches a model, none sends usage statistics.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["ZENML_ANALYTICS_OPT_IN"] = "false"
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A diffusers folder with a model too small to draw anything. Tests leave it as it is."""
    from tests.tiny import make_tiny_pipeline

    return make_tiny_pipeline(tmp_path_factory.mktemp("tiny") / "model")


@pytest.fixture(scope="session")
def tiny_model(tiny_folder: Path):
    """The model in ``tiny_folder``. Tests leave it as it is."""
    from expunge.models.stable_diffusion import StableDiffusion

    return StableDiffusion.load(tiny_folder)


@pytest.fixture(scope="session")
def zenml_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A ZenML of its own: configuration, database, artifact store and repository in a new folder.

    Code is still found from this project's root, whatever the working directory.
    """
    home = tmp_path_factory.mktemp("zenml")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ZENML_CONFIG_PATH", str(home / "config"))
        patch.setenv("ZENML_REPOSITORY_PATH", str(home))
        patch.setenv("ZENML_AUTO_OPEN_DASHBOARD", "false")
        from zenml.client import Client
        from zenml.config.global_config import GlobalConfiguration
        from zenml.utils import source_utils

        for singleton in (Client, GlobalConfiguration):  # made already if something imported a step before
            singleton._reset_instance()
        Client.initialize(home)
        source_utils.set_custom_source_root(str(ROOT))
        yield home
        source_utils.set_custom_source_root(None)
        for singleton in (Client, GlobalConfiguration):
            singleton._reset_instance()


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real S3 server: yields its endpoint URL; the environment has address and credentials."""
    folder = tmp_path_factory.mktemp("seaweedfs")
    endpoint = f"http://127.0.0.1:{(ports := _free_ports(8))[0]}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "tester")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "only-for-tests")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patch.setenv("AWS_ENDPOINT_URL", endpoint)
        patch.delenv("AWS_SESSION_TOKEN", raising=False)
        patch.delenv("AWS_PROFILE", raising=False)
        log = folder / "log"
        with log.open("wb") as stream:
            server = subprocess.Popen(
                _command(folder / "data", ports),
                stdout=stream,
                stderr=stream,
                cwd=folder,
                start_new_session=True,
            )
        try:
            _wait_until_it_answers(endpoint, server, log)
            yield endpoint
        finally:
            os.killpg(server.pid, signal.SIGTERM)
            try:
                server.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(server.pid, signal.SIGKILL)
                server.wait(10)


def _command(data: Path, ports: list[int]) -> list[str]:
    data.mkdir()
    names = ("s3", "master", "filer", "volume")
    flags = [f"-{name}.port={port}" for name, port in zip(names, ports[:4], strict=True)]
    flags += [f"-{name}.port.grpc={port}" for name, port in zip(names, ports[4:], strict=True)]
    closed = [
        "-webdav=false",
        "-admin.ui=false",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-master.telemetry=false",
    ]
    origins = [f"-{name}.allowedOrigins=http://127.0.0.1" for name in ("s3", "filer")]
    here = ["-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-dir={data}", f"-bucket={','.join(BUCKETS)}"]
    return [str(Path(sys.executable).with_name("weed")), "mini", *here, *flags, *closed, *origins]


def _free_ports(count: int) -> list[int]:
    """Ports that nothing listens on now, all different."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def _wait_until_it_answers(endpoint: str, server: subprocess.Popen, log: Path, seconds: float = 60) -> None:
    config = Config(connect_timeout=1, read_timeout=2, retries={"total_max_attempts": 1})
    client = boto3.client("s3", endpoint_url=endpoint, config=config)
    until = time.monotonic() + seconds
    while True:
        try:
            if {bucket["Name"] for bucket in client.list_buckets()["Buckets"]} >= set(BUCKETS):
                client.put_object(Bucket=BUCKETS[0], Key="ready", Body=b"")
                client.delete_object(Bucket=BUCKETS[0], Key="ready")
                return
        except (BotoCoreError, ClientError) as error:
            if time.monotonic() > until:
                raise TimeoutError(f"no answer after {seconds} s: {log.read_text()[-2000:]}") from error
        if server.poll() is not None:
            raise RuntimeError(f"the S3 server ended with {server.returncode}: {log.read_text()[-2000:]}")
        time.sleep(0.1)
