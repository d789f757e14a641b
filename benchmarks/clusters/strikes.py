"""What is done to a run in a cluster. Each is entered when a step is at work, and left when the run has ended."""

import base64
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

import requests

from benchmarks.clusters.job import Job, seconds_of
from tests.clusters.conftest import IMAGE, NAMESPACE, wait_for

AWAY = 60.0  # seconds that the API fails


@contextmanager
def kill(job: Job, step: str) -> Iterator[None]:
    """The pod in which the step is at work is out of memory."""
    job.cluster.controllers.kill(job.pod_of(step))
    yield


@contextmanager
def kill_pipeline(job: Job, step: str) -> Iterator[None]:
    """The pipeline's pod, while the step is at work in one of its own."""
    job.cluster.controllers.kill(job.running(job.pipeline_pods()))
    yield


@contextmanager
def kill_schedule(job: Job, step: str) -> Iterator[None]:
    """The pod that waits for the run."""
    job.cluster.controllers.kill(f"{job.ticks[0]}-0")
    yield


@contextmanager
def lose_node(job: Job, step: str) -> Iterator[None]:
    """Another takes its place."""
    job.cluster.add_node("gpu-2", gpus=1, pool="gpu")
    job.cluster.controllers.lose("gpu-1")
    yield


@contextmanager
def evict(job: Job, step: str) -> Iterator[None]:
    """The pod in which the step is at work has to go, and its time to end in good order is over."""
    job.cluster.controllers.evict(job.pod_of(step), number=signal.SIGKILL)
    yield


@contextmanager
def image_away(job: Job, step: str) -> Iterator[None]:
    """The registry has no image for the pod that comes next; soon it has again."""
    image = job.cluster.images.pop(IMAGE)
    wait_for(lambda: job.run_pods("unlearn"), 300)
    time.sleep(20)
    job.cluster.images[IMAGE] = image
    yield


@contextmanager
def image_gone(job: Job, step: str) -> Iterator[None]:
    """The registry has no image for any pod that comes, until the run has ended."""
    image = job.cluster.images.pop(IMAGE)
    yield
    job.cluster.images[IMAGE] = image


@contextmanager
def api_fails(job: Job, step: str) -> Iterator[None]:
    """Whatever it is asked."""
    job.cluster.failing = 500
    time.sleep(AWAY)
    job.cluster.failing = 0
    yield


@contextmanager
def api_silent(job: Job, step: str) -> Iterator[None]:
    """It takes connections, and says nothing."""
    job.cluster.answers.clear()
    time.sleep(AWAY)
    job.cluster.answers.set()
    yield


@contextmanager
def cluster_login_over(job: Job, step: str) -> Iterator[None]:
    """No pod that runs is known to the API any more; new ones are."""
    job.cluster.expire_tokens()
    yield


@contextmanager
def zenml_login_over(job: Job, step: str) -> Iterator[None]:
    """The service account's key is replaced, and so nothing is left of the token that was made by it.

    The administrator puts the new key into its secret when the run has ended.
    """
    zenml = job.there.zenml
    login = requests.post(
        f"{zenml.url}/api/v1/login", data={"username": "default", "password": zenml.password}, timeout=60
    )
    login.raise_for_status()
    asking = {"Authorization": f"Bearer {login.json()['access_token']}"}
    accounts = requests.get(f"{zenml.url}/api/v1/service_accounts?name=runner", headers=asking, timeout=60).json()
    keys = f"{zenml.url}/api/v1/service_accounts/{accounts['items'][0]['id']}/api_keys"
    rotated = requests.put(f"{keys}/pods/rotate", json={"retain_period_minutes": 0}, headers=asking, timeout=60)
    rotated.raise_for_status()
    key = rotated.json()["body"]["key"]
    job.there.secrets.append(key)
    yield
    with job.cluster.objects.changing("secrets", NAMESPACE, "expunge-zenml") as secret:
        secret.pop("stringData", None)
        secret["data"] = {"api-key": base64.b64encode(key.encode()).decode()}


@contextmanager
def tick(job: Job, step: str) -> Iterator[None]:
    """A second schedule for the same inbox and model fires."""
    job.install(f"{job.name}-second")
    second = job.fire(f"{job.name}-second")
    job.second = seconds_of(job, second)
    said = job.last_line(second)
    if "A run is at work already" not in said:
        raise AssertionError(said)
    yield
