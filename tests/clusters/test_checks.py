"""``expunge stack check`` for a cluster: what is missing is one line with its remedy, before anything runs."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from expunge.cli.stack_checks import Finding
from expunge.schedule.timing import parse_timing
from infra.kubernetes.checks import check_cluster
from infra.kubernetes.cron_jobs import ClusterSchedules
from infra.kubernetes.stack_settings import read_stack_settings
from infra.serving import free_ports
from tests.clusters.cluster import Cluster
from tests.clusters.conftest import NAMESPACE, settings_file, wait_for
from tests.clusters.registry import registry
from tests.infra.regional_store import regional_store

pytestmark = pytest.mark.slow
GPU = {"resources": {"limits": {"nvidia.com/gpu": "1"}}, "node_selector": {"pool": "gpu"}}
JOBS = {"jobs": {"resolve_case": GPU, "unlearn": GPU}}


def ask(folder: Path, **changed: Any) -> list[Finding]:
    server = {"variables": {"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}}  # of the pods; not asked from here
    findings = check_cluster(read_stack_settings(settings_file(folder, **server | changed)))
    assert all(bool(each.remedy) != each.ok and "\n" not in each.found + each.remedy for each in findings)
    return findings


def missing(folder: Path, **changed: Any) -> list[tuple[str, str]]:
    return [(each.what, each.found) for each in ask(folder, **changed) if not each.ok]


@pytest.fixture
def whole(bare: Cluster, tmp_path: Path) -> Cluster:
    """A cluster that lacks nothing."""
    bare.add_secret(NAMESPACE, "expunge-zenml", **{"api-key": "s3cr3t-key"})
    schedules = ClusterSchedules(read_stack_settings(settings_file(tmp_path)))
    schedules.install("retrain", parse_timing("0 3 * * *", "Europe/Berlin"), None, "id")
    return bare


def test_a_whole_cluster_lacks_nothing_and_no_secret_is_shown(whole: Cluster, tmp_path: Path) -> None:
    before = len(whole.objects.written)
    findings = ask(tmp_path, **JOBS)
    assert [each.what for each in findings if not each.ok] == []
    assert len(findings) == 9 and "s3cr3t-key" not in str(findings)
    assert len(whole.objects.written) == before


def test_no_cluster_and_a_wrong_context(whole: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ((what, found),) = missing(tmp_path, context="other")
    assert what == "cluster" and found.startswith("context: 'other' is not in your kubeconfig, which has substitute;")
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    ((what, found),) = missing(tmp_path)
    assert what == "cluster" and "no kubeconfig can be read" in found
    gone = tmp_path / "gone"
    port = whole.kubeconfig.read_text().partition("https://127.0.0.1:")[2].split()[0]
    gone.write_text(whole.kubeconfig.read_text().replace(port, "9"))
    monkeypatch.setenv("KUBECONFIG", str(gone))
    ((what, found),) = missing(tmp_path)
    assert what == "cluster" and "the cluster does not answer" in found


def test_a_login_that_is_over_and_an_api_that_fails(whole: Cluster, tmp_path: Path) -> None:
    whole.failures += [500]
    ((what, found),) = missing(tmp_path)
    assert what == "cluster" and "the cluster answered 500, etcdserver: request timed out" in found
    whole.tokens["admin"] = "another"
    ((what, found),) = missing(tmp_path)
    assert what == "cluster" and "does not know this login any more" in found


def test_clocks_an_hour_apart(whole: Cluster, tmp_path: Path) -> None:
    for skew in (timedelta(hours=1), timedelta(hours=-1)):
        whole.skew = skew
        assert missing(tmp_path) == [("cluster's clock", "the cluster's clock and this one differ by 60 minutes")]


def test_accounts_secrets_and_their_keys(whole: Cluster, tmp_path: Path) -> None:
    gone = [("cluster's accounts", "there is no service account other in expunge")]
    assert missing(tmp_path, step_account="other") == gone
    assert missing(tmp_path, signing_keys="keys") == [("cluster's secrets", "there is no secret keys in expunge")]
    secrets = {"AWS_ACCESS_KEY_ID": {"secret": "expunge-zenml", "key": "id"}}
    assert missing(tmp_path, secrets=secrets) == [("cluster's secrets", "secret expunge-zenml has no key id")]
    whats = [what for what, _ in missing(tmp_path, namespace="nowhere")]
    assert whats == ["cluster's namespace", "cluster's accounts", "cluster's secrets", "cluster's schedule"]


def test_a_pool_that_is_not_there_or_has_no_gpus(whole: Cluster, tmp_path: Path) -> None:
    cpu = GPU | {"node_selector": {"pool": "cpu"}}
    assert missing(tmp_path, jobs={"resolve_case": cpu}) == [
        ("cluster's nodes", "jobs.resolve_case: asks for 1 nvidia.com/gpu, and the nodes with pool=cpu offer 0")
    ]
    none = GPU | {"node_selector": {"pool": "tpu"}}
    assert missing(tmp_path, jobs={"resolve_case": none}) == [
        ("cluster's nodes", "jobs.resolve_case: no node is ready with pool=tpu")
    ]
    whole.controllers.lose("gpu-1")
    assert missing(tmp_path, **JOBS) == [("cluster's nodes", "jobs.resolve_case: no node is ready with pool=gpu")]


def test_a_pool_whose_taint_is_not_tolerated(whole: Cluster, tmp_path: Path) -> None:
    taint = {"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"}
    with whole.objects.changing("nodes", "", "gpu-1") as node:
        node["spec"] = {"taints": [taint]}
    said = "jobs.resolve_case: the nodes with pool=gpu have the taint nvidia.com/gpu, which it does not tolerate"
    assert missing(tmp_path, **JOBS) == [("cluster's nodes", said)]
    for toleration, fits in (
        ({"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}, True),
        ({"key": "nvidia.com/gpu", "value": "present"}, True),
        ({"operator": "Exists"}, True),
        ({"key": "nvidia.com/gpu", "value": "other"}, False),
        ({"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoExecute"}, False),
    ):
        place = GPU | {"tolerations": [toleration]}
        assert (missing(tmp_path, jobs={"resolve_case": place}) == []) is fits
    with whole.objects.changing("nodes", "", "gpu-1") as node:
        node["spec"] = {"taints": [taint | {"effect": "PreferNoSchedule"}]}
    assert missing(tmp_path, **JOBS) == []


def test_a_registry_that_is_asked_before_any_pod(whole: Cluster, tmp_path: Path) -> None:
    with registry(["expunge:1.0"], "me:hidden-word") as host:
        image = f"{host}/expunge:1.0"
        said = ("cluster's image", f"{host} asks for a login, and has none for {image}")
        assert missing(tmp_path, image=image) == [said]
        logins = json.dumps({"auths": {host: {"username": "me", "password": "hidden-word"}}})
        whole.add_secret(NAMESPACE, "pull", **{".dockerconfigjson": logins})
        assert missing(tmp_path, image=image, pull_secret="pull") == []
        none = f"{host}/expunge:2.0"
        assert missing(tmp_path, image=none, pull_secret="pull") == [("cluster's image", f"{host} has no {none}")]
    assert missing(tmp_path, image=image) == [("cluster's image", f"{host} does not answer from here")]
    with whole.objects.changing("nodes", "", "cpu-1") as node:
        node["status"]["images"] = [{"names": [image]}]  # as if a pod had run there
    assert missing(tmp_path, image=image) == []


def test_a_bucket_far_from_pods_or_nodes(
    whole: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, s3_server: str
) -> None:
    with regional_store(s3_server, "eu-central-1") as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        pods = {"variables": {"AWS_DEFAULT_REGION": "us-east-1"}}
        said = "s3://zenml lies in region eu-central-1, and pods ask us-east-1"
        assert missing(tmp_path, **pods) == [("cluster's bucket", said)]
        pods = {"variables": {"AWS_DEFAULT_REGION": "eu-central-1"}}
        assert missing(tmp_path, **pods) == [] == missing(tmp_path, variables={})
        for name in ("cpu-1", "gpu-1"):
            with whole.objects.changing("nodes", "", name) as node:
                node["metadata"]["labels"]["topology.kubernetes.io/region"] = "us-west-2"
        said = "s3://zenml lies in region eu-central-1, and the nodes in us-west-2"
        assert missing(tmp_path, **pods) == [("cluster's bucket", said)]
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_server)  # which knows no regions
    assert missing(tmp_path, **pods) == []


def test_an_image_that_cannot_be_pulled(whole: Cluster, tmp_path: Path) -> None:
    elsewhere = f"127.0.0.1:{free_ports(1)[0]}/elsewhere:1"
    container = {"name": "main", "image": elsewhere, "command": ["true"]}
    pod = {"restartPolicy": "Never", "containers": [container]}
    whole.objects.create("jobs", NAMESPACE, {"metadata": {"name": "x"}, "spec": {"template": {"spec": pod}}})
    said = [("cluster's image", f"pod x-0 cannot pull {elsewhere}: ErrImagePull")]
    wait_for(lambda: missing(tmp_path, image=elsewhere) == said, 30)


def test_a_schedule_that_rests_or_has_no_zone(whole: Cluster, tmp_path: Path) -> None:
    schedules = ClusterSchedules(read_stack_settings(settings_file(tmp_path)))
    schedules.suspend("retrain", True)
    assert missing(tmp_path) == [("cluster's schedule", "'retrain' is suspended")]
    schedules.suspend("retrain", False)
    with whole.objects.changing("cronjobs", NAMESPACE, "expunge-retrain") as each:
        each["spec"]["timeZone"] = "Mars/Base"
    assert missing(tmp_path) == [("cluster's schedule", "'retrain' has no known time zone ('Mars/Base')")]
    schedules.remove("retrain")
    assert missing(tmp_path) == [("cluster's schedule", "none is installed in expunge")]
