"""What Expunge and ZenML put into a cluster: valid in every version, placed as settings say, without a secret."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes import client

from expunge.errors import ExpungeError
from expunge.schedule.timing import parse_timing
from infra.kubernetes.access import access_objects
from infra.kubernetes.cron_jobs import schedule_objects
from infra.kubernetes.stack_settings import HEAVY, StackSettings, read_stack_settings
from tests.clusters.objects import VERSIONS, Object, complaint
from tests.clusters.orchestrators import orchestrator_of
from tests.conftest import ROOT

SHIPPED = ROOT / "configs/stacks/kubernetes.yaml"


@pytest.fixture(scope="module")
def settings() -> StackSettings:
    return read_stack_settings(SHIPPED)


def changed(**values: Any) -> dict[str, Any]:
    return yaml.safe_load(SHIPPED.read_text()) | values


def refused(tmp_path: Path, content: Any) -> str:
    path = tmp_path / "stack.yaml"
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(ExpungeError) as error:
        read_stack_settings(path)
    assert "\n" not in str(error.value)
    return str(error.value)


def complaints(manifests: list[Object]) -> dict[str, str]:
    found = {f"{each['kind']} in {version}": complaint(each, version) for each in manifests for version in VERSIONS}
    return {what: said for what, said in found.items() if said}


def test_settings_refuse_what_would_have_no_effect_or_hold_a_secret(tmp_path: Path) -> None:
    assert "unknown key 'imag'" in refused(tmp_path, changed(imag="x"))
    assert "jobs: no such step gate" in refused(tmp_path, changed(jobs={"gate": {}}))
    assert "MLFLOW_TRACKING_PASSWORD is a secret; put it under 'secrets'" in refused(
        tmp_path, changed(variables={"MLFLOW_TRACKING_PASSWORD": "x"})
    )
    login = refused(tmp_path, changed(variables={"MLFLOW_TRACKING_URI": "http://me:word@host"}))
    assert "variables: MLFLOW_TRACKING_URI holds a login" in login and "word@" not in login
    assert "jobs: resolve_case, which chooses the device" in refused(
        tmp_path, changed(jobs={"unlearn": {"resources": {"limits": {"nvidia.com/gpu": "1"}}}})
    )
    assert "jobs: name_case, which chooses the device" in refused(
        tmp_path, changed(jobs={"draw_shard": {"resources": {"limits": {"nvidia.com/gpu": "1"}}}})
    )
    assert refused(tmp_path, changed(jobs={"unlearn": {"deadline_minutes": 0}})).startswith(
        "jobs.unlearn.deadline_minutes: Input should be greater than or equal to 1; mend it in"
    )
    assert refused(tmp_path, changed(zenml={"url": "zenml"})).startswith("zenml.url: ")
    assert "settings: " in refused(tmp_path, [])
    with pytest.raises(ExpungeError, match="settings: .*none.yaml cannot be read"):
        read_stack_settings(tmp_path / "none.yaml")


def test_our_own_objects_are_valid_in_every_version(settings: StackSettings) -> None:
    objects = schedule_objects(settings, "retrain", parse_timing("0 3 * * *", "Europe/Berlin"), "parameters: {}", "id")
    assert complaints([*access_objects(settings), *objects]) == {}
    spec = objects[1]["spec"]
    assert (spec["concurrencyPolicy"], spec["timeZone"]) == ("Forbid", "Europe/Berlin")
    assert (spec["successfulJobsHistoryLimit"], spec["failedJobsHistoryLimit"]) == (3, 3)
    pod = spec["jobTemplate"]["spec"]["template"]["spec"]
    held = {each["name"]: each for each in pod["containers"][0]["env"]}
    for name in (*settings.secrets, "ZENML_STORE_API_KEY"):
        assert set(held[name]) == {"name", "valueFrom"} and "secretKeyRef" in held[name]["valueFrom"]
    assert pod["containers"][0]["securityContext"]["readOnlyRootFilesystem"] and pod["securityContext"]["runAsNonRoot"]


def test_the_validator_finds_what_is_wrong(settings: StackSettings) -> None:
    (_, cron_job) = schedule_objects(settings, "retrain", parse_timing("0 3 * * *", "Etc/UTC"), "{}", "id")
    cron_job["spec"]["concurencyPolicy"] = "Forbid"
    assert len(complaints([cron_job])) == len(VERSIONS) == 10


@pytest.fixture
def orchestrator(settings: StackSettings, zenml_home: Path) -> Any:
    return orchestrator_of(settings)


def manifest_of(orchestrator: Any, pod_settings: Any, settings: Any) -> Object:
    job = orchestrator._prepare_job_manifest(
        name="job",
        command=["python"],
        args=["-m", "zenml.entrypoints.entrypoint"],
        image="expunge:0.1.0",
        environment={"ZENML_STORE_API_TOKEN": "s3cr3t-token", "ZENML_STORE_URL": "http://laptop:1", "KEPT": "1"},
        labels={"run_id": "1"},
        annotations={},
        settings=settings,
        pod_settings=pod_settings,
        backoff_limit=0,
    )
    return {"apiVersion": "batch/v1", "kind": "Job"} | client.ApiClient().sanitize_for_serialization(job)


def test_zenmls_jobs_are_valid_placed_and_hold_no_token(orchestrator: Any, settings: StackSettings) -> None:
    from zenml.integrations.kubernetes.pod_settings import KubernetesPodSettings

    place = orchestrator.config.jobs["unlearn"]
    job = manifest_of(orchestrator, KubernetesPodSettings(**place["pod_settings"]), orchestrator.config)
    assert complaints([job]) == {}
    assert "s3cr3t-token" not in json.dumps(job)
    pod = job["spec"]["template"]["spec"]
    main = pod["containers"][0]
    assert main["resources"]["limits"] == {"memory": "32Gi", "nvidia.com/gpu": "1"}
    assert main["resources"]["requests"] == {"cpu": "4", "memory": "16Gi"}
    assert pod["nodeSelector"] == {"pool": "gpu"} and pod["tolerations"][0]["key"] == "nvidia.com/gpu"
    assert main["securityContext"]["readOnlyRootFilesystem"] and pod["securityContext"]["runAsUser"] > 0
    names = [each["name"] for each in main["env"]]
    assert len(names) == len(set(names)) and "KEPT" in names
    assert {"name": "ZENML_STORE_URL", "value": settings.zenml.url} in main["env"]
    assert pod["initContainers"][0]["command"][0] == "install"


def test_zenml_alone_leaks_the_token_and_writes_what_kubernetes_refuses(
    orchestrator: Any, settings: StackSettings
) -> None:
    """Why there is an orchestrator of our own; when this fails it may go."""
    from zenml.integrations.kubernetes.orchestrators import KubernetesOrchestrator
    from zenml.integrations.kubernetes.pod_settings import KubernetesPodSettings

    given = {"container_security_context": {"readOnlyRootFilesystem": True}}
    job = KubernetesOrchestrator._prepare_job_manifest(
        orchestrator,
        name="job",
        command=["python"],
        args=[],
        image="expunge:0.1.0",
        environment={"ZENML_STORE_API_TOKEN": "s3cr3t-token"},
        labels={},
        annotations={},
        settings=orchestrator.config,
        pod_settings=KubernetesPodSettings(**given),
        backoff_limit=0,
    )
    plain = {"apiVersion": "batch/v1", "kind": "Job"} | client.ApiClient().sanitize_for_serialization(job)
    assert "s3cr3t-token" in json.dumps(plain)
    assert "onPodConditions" in complaint(plain, VERSIONS[0])
    del plain["spec"]["podFailurePolicy"]
    assert all("securityContext" in complaint(plain, version) for version in VERSIONS)


def test_a_step_with_a_place_is_a_job_and_all_are_tried_again(orchestrator: Any) -> None:
    from zenml.enums import StepRuntime

    options = orchestrator.options_of("unlearn")
    assert options["runtime"] is StepRuntime.ISOLATED and options["retry"].max_retries == 2
    gate = orchestrator.options_of("gate")
    assert set(gate) == {"retry"} and gate["retry"].max_retries == 2  # it begins again in another pod
    assert orchestrator.config.jobs["unlearn"]["deadline_seconds"] == 480 * 60
    assert orchestrator.config.pass_zenml_token_as_secret and orchestrator.config.incluster


def test_every_step_is_placed() -> None:
    everywhere = set()
    for name in ("unlearn_pipeline", "evaluation_pipeline"):
        source = (ROOT / f"pipelines/{name}.py").read_text(encoding="utf-8")
        imported = re.findall(r"from steps\.\w+ import (?:\w+ as )?(\w+)$", source, re.MULTILINE)
        placed = {step for each in re.findall(r"placed\(([^)]*)\)", source) for step in re.findall(r"\w+", each)}
        assert placed == set(imported)
        everywhere |= placed
    assert everywhere >= set(HEAVY)
