"""The substitute for a cluster keeps the promises of its docstring."""

import os
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from kubernetes import client, config

from tests.clusters.cluster import Cluster
from tests.clusters.conftest import IMAGE, NAMESPACE, wait_for
from tests.clusters.controllers import finished
from tests.clusters.objects import Object

pytestmark = pytest.mark.slow
SHOWN = "hostname; pwd; echo $WORD; touch /made; cat /run/words/word; echo kept > /app/state/x; ls /app/state"


@pytest.fixture
def api(bare: Cluster) -> client.ApiClient:
    made = client.Configuration()
    config.load_kube_config(str(bare.kubeconfig), client_configuration=made)
    return client.ApiClient(made)


def job(name: str, script: str, image: str = IMAGE, pod: Object | None = None, **spec: Any) -> Object:
    container = {"name": "main", "image": image, "command": ["sh", "-c", script]}
    whole = {"restartPolicy": "Never", "containers": [container], "serviceAccountName": "expunge-runner"} | (pod or {})
    return {"metadata": {"name": name}, "spec": {"template": {"spec": whole}} | spec}


def run(cluster: Cluster, manifest: Object) -> str:
    """Create a job and follow it to its end: how it ended, and why."""
    name = cluster.objects.create("jobs", NAMESPACE, manifest)["metadata"]["name"]
    return end_of(cluster, name)


def end_of(cluster: Cluster, name: str) -> str:
    wait_for(lambda: finished(cluster.objects.get("jobs", NAMESPACE, name)))
    (condition,) = cluster.objects.get("jobs", NAMESPACE, name)["status"]["conditions"]
    return f"{condition['type']}: {condition['reason']}"


def running(cluster: Cluster, pod: str) -> bool:
    return any(each["metadata"]["name"] == pod and each["status"].get("phase") == "Running" for each in pods(cluster))


def pods(cluster: Cluster) -> list[Object]:
    return cluster.objects.all("pods", NAMESPACE)


def test_a_pod_has_its_name_environment_volumes_and_a_root_that_it_cannot_write_to(bare: Cluster) -> None:
    bare.add_secret(NAMESPACE, "words", word="by reference")
    manifest = job("shown", SHOWN)
    pod = manifest["spec"]["template"]["spec"]
    pod["volumes"] = [{"name": "state", "emptyDir": {}}, {"name": "words", "secret": {"secretName": "words"}}]
    pod["containers"][0] |= {
        "env": [{"name": "WORD", "valueFrom": {"secretKeyRef": {"name": "words", "key": "word"}}}],
        "volumeMounts": [
            {"name": "state", "mountPath": "/app/state"},
            {"name": "words", "mountPath": "/run/words", "readOnly": True},
        ],
        "securityContext": {"readOnlyRootFilesystem": True},
    }
    assert run(bare, manifest) == "Complete: CompletionsReached"
    name, folder, word, refused, file = bare.logs()["shown-0"].splitlines()
    assert (name, folder, word) == ("shown-0", "/app", "by reference")
    assert "/made" in refused and "Read-only file system" in refused
    assert file == "by referencex"
    assert not Path("/made").exists()


def test_it_refuses_what_kubernetes_would(bare: Cluster, api: client.ApiClient) -> None:
    batch, core = client.BatchV1Api(api), client.CoreV1Api(api)
    misspelt = job("misspelt", "true", pod={"nodeSelectr": {}})
    with pytest.raises(client.ApiException, match="'nodeSelectr' was unexpected"):
        batch.create_namespaced_job(NAMESPACE, misspelt)
    core.create_namespaced_config_map(NAMESPACE, {"metadata": {"name": "words"}, "data": {"a": "1"}})
    held = core.read_namespaced_config_map("words", NAMESPACE)
    core.patch_namespaced_config_map("words", NAMESPACE, {"data": {"a": "2", "b": "3"}})
    with pytest.raises(client.ApiException) as stale:
        core.replace_namespaced_config_map("words", NAMESPACE, held)
    assert stale.value.status == 409
    assert core.read_namespaced_config_map("words", NAMESPACE).data == {"a": "2", "b": "3"}
    server = api.configuration.host
    assert requests.get(f"{server}/api/v1/nodes", verify=api.configuration.ssl_ca_cert, timeout=20).status_code == 401
    bare.failures += [500, 503]
    for status in (500, 503):
        with pytest.raises(client.ApiException) as failed:
            core.list_node()
        assert failed.value.status == status
    assert len(core.list_node().items) == 2


def test_a_job_is_held_to_its_limits(bare: Cluster) -> None:
    assert run(bare, job("again", "exit 3", backoffLimit=1)) == "Failed: BackoffLimitExceeded"
    assert [each["metadata"]["name"] for each in pods(bare)] == ["again-0", "again-1"]
    assert run(bare, job("long", "sleep 600", activeDeadlineSeconds=1)) == "Failed: DeadlineExceeded"
    rule = {"action": "FailJob", "onExitCodes": {"containerName": "main", "operator": "In", "values": [2]}}
    assert run(bare, job("final", "exit 2", podFailurePolicy={"rules": [rule]})) == "Failed: PodFailurePolicy"
    assert len([each for each in pods(bare) if each["metadata"]["name"].startswith("final")]) == 1


def test_killed_counts_and_evicted_or_lost_with_its_node_does_not(bare: Cluster) -> None:
    ignored = {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}
    bare.objects.create(
        "jobs", NAMESPACE, job("victim", "sleep 600", backoffLimit=0, podFailurePolicy={"rules": [ignored]})
    )
    wait_for(lambda: running(bare, "victim-0"))
    bare.controllers.evict("victim-0", number=9)
    wait_for(lambda: running(bare, "victim-1"))
    bare.controllers.lose("cpu-1")
    wait_for(lambda: running(bare, "victim-2"))
    assert bare.objects.get("pods", NAMESPACE, "victim-2")["spec"]["nodeName"] == "gpu-1"
    bare.controllers.kill("victim-2")
    assert end_of(bare, "victim") == "Failed: BackoffLimitExceeded"


def test_what_cannot_start_waits_and_says_why(bare: Cluster) -> None:
    missing = {"name": "X", "valueFrom": {"secretKeyRef": {"name": "gone", "key": "x"}}}
    for name, manifest in {
        "unpulled": job("unpulled", "true", image="elsewhere:1"),
        "secretless": job("secretless", "true"),
        "unplaced": job("unplaced", "true", pod={"nodeSelector": {"pool": "none"}}),
        "homeless": job("homeless", "true", pod={"serviceAccountName": "nobody"}),
    }.items():
        if name == "secretless":
            manifest["spec"]["template"]["spec"]["containers"][0]["env"] = [missing]
        bare.objects.create("jobs", NAMESPACE, manifest)

    def reasons() -> set[str]:
        found = set()
        for pod in pods(bare):
            for each in pod["status"].get("containerStatuses", []):
                found.add(each["state"].get("waiting", {}).get("reason"))
            found |= {each["reason"] for each in pod["status"].get("conditions", [])}
        return found | {each["reason"] for each in bare.objects.all("events")}

    expected = {"ErrImagePull", "CreateContainerConfigError", "Unschedulable", "FailedCreate"}
    wait_for(lambda: reasons() == expected, 30)


def test_a_cron_job_fires_by_its_zone_and_not_into_itself(bare: Cluster) -> None:
    template = {"spec": job("", "test ! -e /app/wait || sleep 600")["spec"]}
    spec = {"schedule": "0 3 * * *", "timeZone": "Europe/Berlin", "concurrencyPolicy": "Forbid"}
    limits = {"successfulJobsHistoryLimit": 1}
    cron = {"metadata": {"name": "nightly"}, "spec": spec | limits | {"jobTemplate": template}}
    bare.objects.create("cronjobs", NAMESPACE, cron)
    summer, winter = datetime(2026, 7, 1, 1, tzinfo=UTC), datetime(2026, 12, 1, 2, tzinfo=UTC)
    assert bare.controllers.tick(summer + timedelta(hours=1)) == []
    (first,) = bare.controllers.tick(summer)
    assert end_of(bare, first) == "Complete: CompletionsReached"
    (second,) = bare.controllers.tick(winter)
    assert end_of(bare, second) == "Complete: CompletionsReached"
    wait_for(lambda: [each["metadata"]["name"] for each in bare.objects.all("jobs")] == [second], 30)
    with bare.objects.changing("cronjobs", NAMESPACE, "nightly") as each:
        container = each["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]
        container["command"] = ["sleep", "600"]
    (third,) = bare.controllers.tick(winter + timedelta(days=1))
    assert bare.controllers.tick(winter + timedelta(days=2)) == []
    wait_for(lambda: running(bare, f"{third}-0"))


def test_pods_die_with_their_job_and_leave_nothing(bare: Cluster) -> None:
    mark = f"600.{os.getpid()}"
    bare.objects.create("jobs", NAMESPACE, job("gone", f"sleep {mark} & sleep {mark}"))
    wait_for(lambda: running(bare, "gone-0"))
    wait_for(lambda: alive(mark), 30)
    bare.objects.delete("jobs", NAMESPACE, "gone")
    wait_for(lambda: not alive(mark), 30)
    mounts = Path("/proc/self/mounts").read_text()
    assert str(bare.folder) not in mounts


def alive(mark: str) -> bool:
    found = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout.splitlines()
    return any(line.strip() == f"sleep {mark}" for line in found)
