"""The main job in a cluster: two schedules fire at once, a step's pod is killed and the pipeline's own, and what comes
out is what a local run makes, to the bit."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from expunge.schedule.timing import parse_timing
from infra.kubernetes.cron_jobs import ClusterSchedules
from infra.kubernetes.stack_settings import read_stack_settings
from infra.secret_files import read_env
from tests.clusters.conftest import wait_for
from tests.clusters.controllers import finished
from tests.clusters.furnished import GPU, MODEL, Furnished, furnished
from tests.clusters.objects import VERSIONS, complaint
from tests.conftest import zenml_in

pytestmark = pytest.mark.slow
NIGHT = datetime(2026, 11, 30, 2, tzinfo=UTC)  # three in Berlin
REPORTING = "Step `write_report` has started"
AT_THREE = ["--cron", "0 3 * * *", "--timezone", "Europe/Berlin"]


@pytest.fixture(scope="module")
def there(s3_server: str, tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Furnished]:
    with furnished(tmp_path_factory.mktemp("furnished"), s3_server, tiny_folder, {"unlearn": GPU}) as made:
        yield made


@pytest.fixture(scope="module")
def request_id(there: Furnished) -> str:
    return there.box().file(kind="object", target="cat").request.id


@pytest.fixture(scope="module")
def jobs(there: Furnished, request_id: str) -> dict[str, str]:
    """How the jobs of two schedules that fire at once ended, by name.

    The first pod that unlearns is killed, and the pipeline's own while it writes the report.
    """
    given = ["--kubernetes", "--settings", str(there.settings), "--config", str(there.config)]
    done = there.run("-m", "expunge.cli", "schedule", "install", *AT_THREE, *given)
    assert done.returncode == 0 and "Installed 'retrain' in namespace expunge; runs next at" in done.stdout, done.stderr
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KUBECONFIG", str(there.cluster.kubeconfig))
        schedules = ClusterSchedules(read_stack_settings(there.settings))
        schedules.install("second", parse_timing("0 3 * * *", "Europe/Berlin"), there.config, stack_of(there))
    names = there.cluster.controllers.tick(NIGHT)
    assert len(names) == 2
    ended = there.cluster.objects

    def all_ended() -> bool:
        return all(finished(ended.get("jobs", "expunge", name)) for name in names)

    wait_for(lambda: there.pod_of("unlearn") or all_ended(), 900)
    unlearning = there.pod_of("unlearn")
    assert unlearning is not None, there.cluster.logs()
    there.cluster.controllers.kill(unlearning["metadata"]["name"])
    (run,) = orchestrators(there)
    wait_for(lambda: REPORTING in there.cluster.logs()[f"{run}-0"] or all_ended(), 900)
    there.cluster.controllers.kill(f"{run}-0")
    wait_for(all_ended, 900)
    return {name: finished(ended.get("jobs", "expunge", name)) for name in names}


def stack_of(there: Furnished) -> str:
    (cron_job,) = there.cluster.objects.all("cronjobs")
    pod = cron_job["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    return next(each["value"] for each in pod["containers"][0]["env"] if each["name"] == "ZENML_ACTIVE_STACK_ID")


def test_of_two_schedules_one_runs_and_the_other_says_so(there: Furnished, jobs: dict[str, str]) -> None:
    assert set(jobs.values()) == {"Complete"}, there.cluster.logs()
    said = {name: there.cluster.logs()[f"{name}-0"] for name in jobs}
    (idle,) = [name for name in jobs if "A run is at work already, started by" in said[name]]
    (busy,) = set(jobs) - {idle}
    assert "Ran " in said[busy] and said[idle].count("\n") == 1
    assert len(orchestrators(there)) == 1


def orchestrators(there: Furnished) -> list[str]:
    names = [each["metadata"]["name"] for each in there.cluster.objects.all("jobs")]
    return [name for name in names if re.search(r"-unlearn_?-?pipeline$", name.replace("_", "-"))]


def test_the_step_whose_pod_was_killed_was_done_again(there: Furnished, jobs: dict[str, str], request_id: str) -> None:
    steps = there.cluster.objects.all("jobs", fits=lambda job: job["metadata"]["labels"].get("step_name") == "unlearn")
    assert [finished(each) for each in steps] == ["Failed", "Complete"]
    pods = there.pods_of("unlearn")
    assert {pod["spec"]["nodeName"] for pod in pods} == {"gpu-1"}
    assert there.box().state(request_id).label == "fulfilled"


def test_the_run_whose_pod_was_killed_went_on_in_another(there: Furnished, jobs: dict[str, str]) -> None:
    (run,) = orchestrators(there)
    first, second = (there.cluster.logs()[f"{run}-{number}"] for number in (0, 1))
    assert REPORTING in first and REPORTING in second
    assert "`collect_takedowns` has started" in first and "`collect_takedowns` has started" not in second


def test_the_champion_is_that_of_a_local_run_to_the_bit(
    there: Furnished, jobs: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from expunge.release.registry import Registry

    for name, value in read_env(there.folder.parent / "accounts/runner.env").items():
        monkeypatch.setenv(name, value)
    in_cluster = Registry(name=MODEL).champion()
    assert in_cluster is not None
    for name in ("URI", "USERNAME", "PASSWORD"):
        monkeypatch.delenv(f"MLFLOW_TRACKING_{name}")
    monkeypatch.chdir(tmp_path)
    assert local_digest(tmp_path, yaml.safe_load(there.config.read_text())["parameters"]) == in_cluster.digest


def local_digest(folder: Path, job: dict[str, Any]) -> str:
    from expunge.release.registry import Registry
    from expunge.takedown.inbox import Inbox
    from expunge.takedown.object_store import open_store

    with zenml_in(folder / "zenml"):
        from pipelines.unlearn_pipeline import unlearn_pipeline

        Inbox(open_store("inbox"), MODEL).file(kind="object", target="cat")
        unlearn_pipeline(**job | {"inbox": str(folder / "inbox")})
        champion = Registry(name=MODEL).champion()
    assert champion is not None
    return champion.digest


def test_the_check_finds_all_well(there: Furnished, jobs: dict[str, str]) -> None:
    given = ["--config", str(there.config), "--kubernetes", str(there.settings)]
    done = there.run("-m", "expunge.cli", "stack", "check", "--json", *given)
    findings = json.loads(done.stdout)
    assert [each for each in findings if not each["ok"]] == [] and done.returncode == 0
    assert {"ZenML's stack", "artifact store", "login", "cluster's secrets"} <= {each["what"] for each in findings}


def test_a_login_to_zenml_that_is_over_is_one_line(there: Furnished, tmp_path: Path) -> None:
    over = {"ZENML_STORE_API_KEY": "ZENKEY_over", "ZENML_CONFIG_PATH": str(tmp_path)}
    stranger = replace(there, environment={**there.environment, **over})
    done = stranger.run("-m", "infra.kubernetes.stack", "--settings", str(there.settings))
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith("Error: ZenML: Authentication error: ")


def test_every_object_is_valid_in_every_version_and_no_secret_is_told(there: Furnished, jobs: dict[str, str]) -> None:
    stored = there.cluster.objects.written
    assert {each["kind"] for each in stored} >= {"CronJob", "ConfigMap", "Job", "Pod", "Secret", "Lease"}
    assert {complaint(each, version) for each in stored for version in VERSIONS} == {""}
    told = there.told()
    assert "Installed" not in told and "unlearn" in told
    assert [secret[:4] for secret in there.secrets if secret in told] == []
    assert re.findall(r"eyJ[\w-]+\.eyJ[\w-]+\.[\w-]+", told) == []  # a token of ZenML's


def test_the_token_of_a_run_goes_with_its_job(there: Furnished, jobs: dict[str, str]) -> None:
    (token,) = [
        each for each in there.cluster.objects.all("secrets") if each["metadata"]["name"].startswith("zenml-token-")
    ]
    (owner,) = token["metadata"]["ownerReferences"]
    assert owner["kind"] == "Job" and owner["name"] in orchestrators(there)
