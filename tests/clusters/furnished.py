"""A substitute for a cluster with all that a run stands on: a real ZenML server, S3, and MLflow with login."""

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from expunge.takedown.inbox import Inbox
from expunge.takedown.object_store import open_store
from infra.kubernetes.zenml_stack import find_stack
from infra.secret_files import read_env
from infra.tracking_server import tracking_server
from tests.clusters.cluster import Cluster, cluster
from tests.clusters.conftest import IMAGE, NAMESPACE, furnish, image, settings_file
from tests.clusters.objects import Object
from tests.clusters.zenml_server import ZenML, zenml_server
from tests.conftest import PYTHON_PATH
from tests.pipelines.test_purge import tiny_job

MODEL = "expunge-zoo"  # which the runner's account may do everything with
GPU = {"node_selector": {"pool": "gpu"}, "deadline_minutes": 30, "retries": 2}


@dataclass(frozen=True)
class Furnished:
    """Everything, running.

    Attributes:
        folder: of whoever looks after it from outside.
        settings: file of the stack's settings.
        config: file of the run's configuration.
        environment: of commands from outside: a client of ZenML and of the cluster.
        secrets: values that may stand nowhere but in secrets.
    """

    cluster: Cluster
    zenml: ZenML
    folder: Path
    settings: Path
    config: Path
    environment: Mapping[str, str]
    secrets: list[str]

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """A command of this project from outside the cluster."""
        return subprocess.run(
            [sys.executable, *words], cwd=self.folder, env=self.environment, capture_output=True, text=True
        )

    def stack(self, name: str, jobs: Iterable[str]) -> str:
        """Register another stack, on which these steps have a job of their own. Returns its id.

        This process has to have the environment too.
        """
        settings = yaml.safe_load(self.settings.read_text(encoding="utf-8"))
        path = self.folder / f"{name}.yaml"
        path.write_text(yaml.safe_dump(settings | {"name": name, "jobs": dict.fromkeys(jobs, GPU)}), encoding="utf-8")
        done = self.run("-m", "infra.kubernetes.stack", "--settings", str(path))
        assert done.returncode == 0, done.stderr
        return find_stack(path)

    def on(self, stack: str, **variables: str) -> "Furnished":
        """The same with a stack, by its id, as the active one of commands, and with variables of theirs."""
        return replace(self, environment={**self.environment, "ZENML_ACTIVE_STACK_ID": stack, **variables})

    def box(self) -> Inbox:
        """The inbox, in the bucket."""
        return Inbox(open_store("s3://expunge/inbox"), MODEL)

    def told(self) -> str:
        """Everything that was stored, but for secrets themselves, and everything that was said."""
        stored = [each for each in self.cluster.objects.written if each["kind"] != "Secret"]
        servers = [path.read_text(errors="replace") for path in self.folder.parent.glob("*/log")]
        return json.dumps(stored) + "".join([*self.cluster.logs().values(), *servers])

    def pod_of(self, step: str) -> Object | None:
        """The pod that runs a step now, in a job of its own."""
        return next((each for each in self.pods_of(step) if each["status"].get("phase") == "Running"), None)

    def pods_of(self, step: str) -> list[Object]:
        """All pods that ran a step in a job of its own."""
        return self.cluster.objects.all("pods", fits=lambda pod: pod["metadata"]["labels"].get("step_name") == step)


@contextmanager
def furnished(folder: Path, endpoint: str, model: Path, jobs: Mapping[str, Any], **changed: Any) -> Iterator[Furnished]:
    """Start everything, register the stack, stop everything.

    Args:
        folder: for all of it.
        endpoint: of S3, whose credentials are in the environment.
        model: a tiny one.
        jobs: steps with a job of their own, and their places.
        changed: other settings of the stack.
    """
    place = folder / "place"
    place.mkdir(parents=True)
    with (
        tracking_server(folder / "mlflow", "s3://mlflow", accounts=folder / "accounts") as tracking,
        zenml_server(folder / "zenml") as zenml,
        cluster(folder / "cluster", {IMAGE: image()}) as made,
    ):
        furnish(made)
        runner = read_env(folder / "accounts/runner.env")
        login = {"username": runner["MLFLOW_TRACKING_USERNAME"], "password": runner["MLFLOW_TRACKING_PASSWORD"]}
        keys = {"id": os.environ["AWS_ACCESS_KEY_ID"], "key": os.environ["AWS_SECRET_ACCESS_KEY"]}
        made.add_secret(NAMESPACE, "expunge-zenml", **{"api-key": zenml.api_key})
        made.add_secret(NAMESPACE, "expunge-mlflow", **login)
        made.add_secret(NAMESPACE, "expunge-s3", **keys)
        settings = settings_file(
            folder,
            zenml={"url": zenml.url, "api_key": {"secret": "expunge-zenml", "key": "api-key"}},
            variables={
                "MLFLOW_TRACKING_URI": tracking,
                "AWS_ENDPOINT_URL": endpoint,
                "AWS_DEFAULT_REGION": "us-east-1",
            },
            secrets={
                "MLFLOW_TRACKING_USERNAME": {"secret": "expunge-mlflow", "key": "username"},
                "MLFLOW_TRACKING_PASSWORD": {"secret": "expunge-mlflow", "key": "password"},
                "AWS_ACCESS_KEY_ID": {"secret": "expunge-s3", "key": "id"},
                "AWS_SECRET_ACCESS_KEY": {"secret": "expunge-s3", "key": "key"},
            },
            jobs=dict(jobs),
            **changed,
        )
        environment = {name: value for name, value in os.environ.items() if not name.startswith("ZENML_")}
        environment |= zenml.client(place) | {"KUBECONFIG": str(made.kubeconfig), "OMP_NUM_THREADS": "1"} | runner
        environment |= {"PYTHONPATH": PYTHON_PATH, "MLFLOW_TRACKING_URI": tracking, "COLUMNS": "300"}
        secrets = [zenml.api_key, login["password"], keys["key"], *made.tokens.values()]
        there = Furnished(made, zenml, place, settings, config_of(folder, model), environment, secrets)
        done = there.run("-m", "infra.kubernetes.stack", "--settings", str(settings))
        assert done.returncode == 0, done.stderr
        yield there


def config_of(folder: Path, model: Path) -> Path:
    """A configuration of the main job at its smallest, whose files lie in ``folder``, as pods see it."""
    before = Path.cwd()
    os.chdir(folder)  # where ``tiny_job`` makes its world and its judge
    try:
        job = tiny_job("s3://expunge/inbox", model)
    finally:
        os.chdir(before)
    job |= {"registered_model": MODEL, "world": str(folder / "world.yaml"), "gate": job["gate"].model_dump(mode="json")}
    path = folder / "job.yaml"
    path.write_text(yaml.safe_dump({"parameters": job}), encoding="utf-8")
    return path
