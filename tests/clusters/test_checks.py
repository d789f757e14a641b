"""``expunge stack check`` for a cluster: what is missing is one line with its remedy, before anything runs."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from expunge.cli.stack_checks import Finding
from expunge.schedule.timing import parse_timing
from infra.kubernetes.checks import check_cluster
from infra.kubernetes.cron_jobs import ClusterSchedules
from infra.kubernetes.stack_settings import read_stack_settings
from tests.clusters.cluster import Cluster
from tests.clusters.conftest import NAMESPACE, settings_file, wait_for

pytestmark = pytest.mark.slow
GPU = {"resources": {"limits": {"nvidia.com/gpu": "1"}}, "node_selector": {"pool": "gpu"}}
JOBS = {"jobs": {"resolve_case": GPU, "unlearn": GPU}}


def ask(folder: Path, **changed: Any) -> list[Finding]:
    findings = check_cluster(read_stack_settings(settings_file(folder, **changed)))
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
    assert len(findings) == 8 and "s3cr3t-key" not in str(findings)
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


def test_an_image_that_cannot_be_pulled(whole: Cluster, tmp_path: Path) -> None:
    container = {"name": "main", "image": "elsewhere:1", "command": ["true"]}
    pod = {"restartPolicy": "Never", "containers": [container]}
    whole.objects.create("jobs", NAMESPACE, {"metadata": {"name": "x"}, "spec": {"template": {"spec": pod}}})
    wait_for(lambda: missing(tmp_path, image="elsewhere:1"), 30)
    assert missing(tmp_path, image="elsewhere:1") == [
        ("cluster's image", "pod x-0 cannot pull elsewhere:1: ErrImagePull")
    ]


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
