"""What the orchestrator makes of a cluster that fails: it waits, or says so in a line, and starts nothing twice."""

from collections.abc import Iterator
from typing import Any

import pytest
from kubernetes import client

from expunge.errors import ExpungeError
from infra.kubernetes import patience
from infra.kubernetes.stack_settings import read_stack_settings
from tests.clusters.cluster import Cluster
from tests.clusters.conftest import IMAGE, NAMESPACE, settings_file, wait_for
from tests.clusters.controllers import finished
from tests.clusters.orchestrators import orchestrator_of

pytestmark = pytest.mark.slow
STEP = "0b0b0b0b-0000-4000-8000-000000000000"


class Step:
    """As much of a step's run as an orchestrator asks for."""

    id, name = STEP, "unlearn"


@pytest.fixture
def orchestrator(bare: Cluster, zenml_home: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """On the substitute, waiting seconds where it waits minutes."""
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(bare.kubeconfig))
    monkeypatch.setattr(patience, "ATTEMPTS", 3)
    monkeypatch.setattr(patience, "SECONDS", 0.5)
    yield orchestrator_of(read_stack_settings(settings_file(tmp_path, start_minutes=0)))


def job(script: str, image: str = IMAGE) -> dict[str, Any]:
    container = {"name": "main", "image": image, "command": ["sh", "-c", script]}
    pod = {"restartPolicy": "Never", "containers": [container], "serviceAccountName": "expunge-runner"}
    metadata = {"name": "step", "labels": {"step_run_id": STEP}}
    return {"metadata": metadata, "spec": {"backoffLimit": 0, "template": {"spec": pod}}}


def test_an_api_that_answers_500_for_a_while_costs_nothing(bare: Cluster, orchestrator: Any) -> None:
    bare.objects.create("jobs", NAMESPACE, job("sleep 600"))
    bare.failures += [500, 503, 429]
    assert orchestrator.get_isolated_step_status(Step).value == "running"
    assert bare.failures == []


def test_an_api_that_fails_on_or_is_silent_is_no_failed_step(bare: Cluster, orchestrator: Any) -> None:
    bare.objects.create("jobs", NAMESPACE, job("sleep 600"))
    bare.failing = 500
    with pytest.raises(ExpungeError, match="step unlearn: the cluster answered 500, etcdserver: request timed out"):
        orchestrator.get_isolated_step_status(Step)
    bare.failing = 0
    bare.answers.clear()
    with pytest.raises(ExpungeError, match="step unlearn: the cluster does not answer"):
        orchestrator.get_isolated_step_status(Step)
    bare.answers.set()
    assert orchestrator.get_isolated_step_status(Step).value == "running"


def test_a_login_that_is_over_is_no_failed_step(bare: Cluster, orchestrator: Any) -> None:
    bare.objects.create("jobs", NAMESPACE, job("sleep 600"))
    bare.tokens["admin"] = "another"
    with pytest.raises(ExpungeError, match="step unlearn: the cluster does not know this login any more"):
        orchestrator.get_isolated_step_status(Step)


def test_zenml_alone_takes_a_step_for_failed_that_is_at_work(bare: Cluster, orchestrator: Any) -> None:
    """Why we ask ourselves; when this fails that may go."""
    from zenml.integrations.kubernetes.orchestrators import KubernetesOrchestrator

    bare.objects.create("jobs", NAMESPACE, job("sleep 600"))
    wait_for(lambda: bare.objects.all("pods"))
    bare.failing = 500
    assert KubernetesOrchestrator.get_isolated_step_status(orchestrator, Step).value == "failed"
    bare.failing = 0
    assert not finished(bare.objects.get("jobs", NAMESPACE, "step"))


def test_an_image_that_cannot_be_pulled_is_waited_for_and_then_named(
    bare: Cluster, orchestrator: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    bare.objects.create("jobs", NAMESPACE, job("true", image="elsewhere:1"))
    wait_for(lambda: any("containerStatuses" in each["status"] for each in bare.objects.all("pods")))
    orchestrator._config = orchestrator.config.model_copy(update={"start_minutes": 10})
    assert orchestrator.get_isolated_step_status(Step).value == "running"
    orchestrator._config = orchestrator.config.model_copy(update={"start_minutes": 0})
    assert orchestrator.get_isolated_step_status(Step).value == "failed"
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("Step `unlearn`: its job failed: Detected container in state `ErrImagePull`")
    assert patience.last_words(f"{line}\n  File ...\nRuntimeError: Step `unlearn` failed.\n") == line
    assert patience.last_words(f"{line}\nRuntimeError: Step `evaluate` failed.\n").startswith("RuntimeError")
    assert bare.objects.all("jobs") == []


def test_a_step_that_was_evicted_is_no_failed_one(bare: Cluster, orchestrator: Any) -> None:
    manifest = job("sleep 600")
    ignored = {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}
    manifest["spec"]["podFailurePolicy"] = {"rules": [ignored]}
    bare.objects.create("jobs", NAMESPACE, manifest)
    wait_for(lambda: "step-0" in bare.controllers.running)
    bare.controllers.evict("step-0", number=9)
    wait_for(lambda: "step-1" in bare.controllers.running)
    assert orchestrator.get_isolated_step_status(Step).value == "running"


def test_a_job_whose_answer_was_lost_is_not_made_twice(bare: Cluster, orchestrator: Any) -> None:
    made = bare.objects.create("jobs", NAMESPACE, job("sleep 600"))
    body = client.V1Job(metadata=client.V1ObjectMeta(name="step"), spec=made["spec"])
    found = orchestrator._k8s_batch_api.create_namespaced_job(NAMESPACE, body)
    assert found.metadata.uid == made["metadata"]["uid"]


def test_who_waits_for_a_run_and_is_not_known_any_more_says_that_it_goes_on(bare: Cluster, orchestrator: Any) -> None:
    from zenml.integrations.kubernetes import kube_utils

    bare.objects.create("jobs", NAMESPACE, job("sleep 600"))
    bare.tokens["admin"] = "another"
    with pytest.raises(ExpungeError, match=r"run: the cluster does not know this login .* The run itself goes on\."):
        patience.waited_for(
            lambda: kube_utils.wait_for_job_to_finish(orchestrator.get_kube_client, NAMESPACE, "step"), lambda: ""
        )


def test_a_run_that_fails_ends_with_its_last_words(bare: Cluster, orchestrator: Any) -> None:
    from zenml.integrations.kubernetes import kube_utils

    bare.objects.create("jobs", NAMESPACE, job("echo first; echo; echo 'what is wrong'; exit 1"))

    def wait() -> None:
        kube_utils.wait_for_job_to_finish(orchestrator.get_kube_client, NAMESPACE, "step", 0.1)

    with pytest.raises(ExpungeError) as error:
        patience.waited_for(wait, lambda: orchestrator._last_words("step"))
    assert str(error.value).startswith("run: Job `expunge:step` failed: ")
    assert str(error.value).endswith("; its last words: what is wrong")
