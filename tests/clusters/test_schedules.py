"""Schedules in a cluster, from the command line and from their own pods."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from expunge.cli import main
from expunge.schedule.timing import parse_timing
from infra.kubernetes.cron_jobs import ClusterSchedules
from infra.kubernetes.stack_settings import read_stack_settings
from infra.kubernetes.tick import lease_name
from tests.clusters.cluster import Cluster
from tests.clusters.conftest import NAMESPACE, settings_file, wait_for
from tests.clusters.controllers import finished
from tests.clusters.objects import VERSIONS, complaint

pytestmark = pytest.mark.slow
NIGHT = datetime(2026, 11, 30, 2, tzinfo=UTC)  # three in Berlin
INBOX = "s3://expunge/ticks/inbox"


def run(settings: Path, *words: str) -> Result:
    return CliRunner().invoke(main, ["schedule", *words, "--kubernetes", "--settings", str(settings)])


def shown(settings: Path) -> list[dict[str, Any]]:
    return json.loads(run(settings, "show", "--json").stdout)


def test_it_is_changed_suspended_resumed_and_removed(bare: Cluster, tmp_path: Path) -> None:
    settings = settings_file(tmp_path)
    schedules = ClusterSchedules(read_stack_settings(settings))
    assert run(settings, "show").stdout.startswith("No schedule is installed there")
    for cron in ("0 3 * * *", "30 4 * * mon-fri"):
        schedules.install("retrain", parse_timing(cron, "Europe/Berlin"), None, "id")
    (only,) = shown(settings)
    assert only == {
        "name": "retrain",
        "cron": "30 4 * * mon-fri",
        "timezone": "Europe/Berlin",
        "suspended": False,
        "last": "",
    }
    assert run(settings, "suspend").stdout == "Suspended 'retrain'.\n" and shown(settings)[0]["suspended"]
    assert "suspended" in run(settings, "show").stdout
    assert bare.controllers.tick(datetime(2026, 11, 30, 3, 30, tzinfo=UTC)) == []
    assert run(settings, "resume").stdout == "Resumed 'retrain'.\n" and not shown(settings)[0]["suspended"]
    assert run(settings, "remove").stdout == "Removed 'retrain' from the cluster.\n" and shown(settings) == []
    assert bare.objects.all("configmaps") == []
    valid = {complaint(each, version) for each in bare.objects.written for version in VERSIONS}
    assert valid == {""}


def test_what_cannot_be_is_one_line(bare: Cluster, tmp_path: Path) -> None:
    settings = settings_file(tmp_path)
    for words, said in (
        (["remove"], "name: no schedule 'retrain' is installed in namespace expunge"),
        (["suspend", "--name", "Re train"], "name: 'Re train' given"),
        (["install", "--cron", "61 * * * *"], "cron: '61 * * * *' given"),
        (["install", "--cron", "0 3 * * *", "--timezone", "Mars/Base"], "timezone: 'Mars/Base' given"),
        (["install", "--cron", "0 3 * * *", "--systemd"], "kubernetes: takes neither --systemd nor --env-file"),
        (["install", "--cron", "0 3 * * *", "--config", "none.yaml"], "config: there is no file none.yaml"),
    ):
        done = run(settings, *words)
        assert done.exit_code == 2 and said in done.stderr, (words, done.stderr)
    assert bare.objects.all("cronjobs") == []
    alone = CliRunner().invoke(main, ["schedule", "suspend"])
    assert "only a cluster's schedule can rest" in alone.stderr


@pytest.fixture
def ticking(bare: Cluster, s3_server: str, tmp_path: Path) -> Cluster:
    """A schedule whose inbox is an empty one in S3."""
    bare.add_secret(NAMESPACE, "expunge-zenml", **{"api-key": "s3cr3t-zenml-key"})
    bare.add_secret(NAMESPACE, "expunge-s3", id="tester", key="only-for-tests")
    settings = settings_file(
        tmp_path,
        variables={"AWS_ENDPOINT_URL": s3_server, "AWS_DEFAULT_REGION": "us-east-1"},
        secrets={
            "AWS_ACCESS_KEY_ID": {"secret": "expunge-s3", "key": "id"},
            "AWS_SECRET_ACCESS_KEY": {"secret": "expunge-s3", "key": "key"},
        },
    )
    config = tmp_path / "job.yaml"
    config.write_text(yaml.safe_dump({"parameters": {"inbox": INBOX}}))
    schedules = ClusterSchedules(read_stack_settings(settings))
    schedules.install("retrain", parse_timing("0 3 * * *", "Europe/Berlin"), config, "id")
    return bare


def fire(cluster: Cluster, day: int = 0) -> str:
    (job,) = cluster.controllers.tick(NIGHT + timedelta(days=day))
    wait_for(lambda: finished(cluster.objects.get("jobs", NAMESPACE, job)))
    return job


def test_a_tick_with_nothing_pending_starts_nothing_and_gives_the_lease_back(ticking: Cluster) -> None:
    job = fire(ticking)
    assert finished(ticking.objects.get("jobs", NAMESPACE, job)) == "Complete"
    assert ticking.logs()[f"{job}-0"] == "Nothing is pending.\n"
    (lease,) = ticking.objects.all("leases")
    assert not lease["spec"].get("holderIdentity")
    assert [each["metadata"]["name"] for each in ticking.objects.all("jobs")] == [job]
    told = str([each for each in ticking.objects.written if each["kind"] != "Secret"]) + str(ticking.logs())
    assert "only-for-tests" not in told and "s3cr3t-zenml-key" not in told


def test_a_tick_while_another_runs_says_so_and_a_dead_one_is_taken_over(ticking: Cluster) -> None:
    name = lease_name(INBOX, "expunge-zoo")
    for day, renewed, said in (
        (0, datetime.now(UTC), "A run is at work already, started by another: nothing is started.\n"),
        (1, datetime(2026, 1, 1, tzinfo=UTC), "Nothing is pending.\n"),
    ):
        spec = {"holderIdentity": "another", "leaseDurationSeconds": 600}
        held = {"metadata": {"name": name}, "spec": spec | {"renewTime": f"{renewed:%Y-%m-%dT%H:%M:%S.%fZ}"}}
        ticking.objects.create("leases", NAMESPACE, held)
        job = fire(ticking, day)
        assert finished(ticking.objects.get("jobs", NAMESPACE, job)) == "Complete"
        assert ticking.logs()[f"{job}-0"] == said
        ticking.objects.delete("leases", NAMESPACE, name)


def test_an_api_that_fails_or_forgets_the_token_costs_one_pod(ticking: Cluster) -> None:
    ticking.failures += [500]
    job = fire(ticking)
    assert finished(ticking.objects.get("jobs", NAMESPACE, job)) == "Complete"
    first, second = (ticking.logs()[f"{job}-{number}"] for number in (0, 1))
    assert first == "Error: lease: the cluster answered 500, etcdserver: request timed out; try again.\n"
    assert second == "Nothing is pending.\n"


def test_a_tick_whose_pod_is_evicted_goes_on_in_another(ticking: Cluster) -> None:
    (job,) = ticking.controllers.tick(NIGHT)
    wait_for(lambda: f"{job}-0" in ticking.controllers.running)
    ticking.controllers.evict(f"{job}-0", number=9)
    wait_for(lambda: finished(ticking.objects.get("jobs", NAMESPACE, job)))
    assert finished(ticking.objects.get("jobs", NAMESPACE, job)) == "Complete"
    assert ticking.logs()[f"{job}-1"] == "Nothing is pending.\n"
