"""ZenML's Kubernetes orchestrator where it would leak or break.

ZenML 0.98 writes its token into the manifest of every step's own job, ``pass_zenml_token_as_secret`` or not; writes a
container's rights under names that Kubernetes does not know; leaves the token's secret behind for ever; builds or
uploads code that is in the image already; takes a step for failed, and starts it again beside its pod, when the cluster
does not answer for three seconds; and waits for ever for an image that a step's pod cannot pull.
"""

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, cast

from kubernetes import client as k8s
from urllib3.exceptions import HTTPError
from zenml.config import DockerSettings
from zenml.config.retry_config import StepRetryConfig
from zenml.config.step_run_info import StepRunInfo
from zenml.enums import ExecutionStatus, StepRuntime
from zenml.integrations.kubernetes import kube_utils
from zenml.integrations.kubernetes.constants import KUBERNETES_SECRET_TOKEN_KEY_NAME
from zenml.integrations.kubernetes.flavors.kubernetes_orchestrator_flavor import KubernetesOrchestratorSettings
from zenml.integrations.kubernetes.orchestrators import KubernetesOrchestrator
from zenml.integrations.kubernetes.pod_settings import KubernetesPodSettings
from zenml.orchestrators import PipelineSubmissionError, SubmissionResult

from expunge.errors import ExpungeError
from infra.kubernetes.api import answering
from infra.kubernetes.flavor import ExpungeKubernetesConfig
from infra.kubernetes.patience import PatientClient, PatientJobs, last_words, waited_for
from infra.kubernetes.pods import CONTAINER_RIGHTS, by_reference

TOKEN = "ZENML_STORE_API_TOKEN"
RETRIES = 2  # of a step in the pipeline's own pod: it begins again where that pod was replaced


class ExpungeKubernetesOrchestrator(KubernetesOrchestrator):
    """Runs pipelines in the stack's image, and the steps that have a place of their own as jobs."""

    @property
    def config(self) -> ExpungeKubernetesConfig:
        """What the component was told."""
        return cast(ExpungeKubernetesConfig, self._config)

    def options_of(self, step: str) -> dict[str, Any]:
        """What a step is run with: tried again, and as a job of its own if it has a place."""
        place = self.config.jobs.get(step)
        retries = place["retries"] if place else RETRIES
        own = {"runtime": StepRuntime.ISOLATED} if place else {}
        return own | ({"retry": StepRetryConfig(max_retries=retries)} if retries else {})

    def get_kube_client(self, incluster: bool | None = None) -> k8s.ApiClient:
        """The cluster's, for everything that ZenML asks it."""
        return PatientClient(super().get_kube_client(incluster))

    @property
    def _k8s_batch_api(self) -> k8s.BatchV1Api:
        return PatientJobs(self.get_kube_client())

    def get_isolated_step_status(self, step_run: Any) -> ExecutionStatus:
        """How the job of a step stands, failed if it waited too long for what it cannot start without.

        Raises:
            ExpungeError: the cluster cannot be asked. That is no failure: the pod may well be at work, and ZenML goes
                on by what the step itself says.
        """
        where, waiting = self.config.kubernetes_namespace, self.config.fail_on_container_waiting_reasons
        with answering(f"step {step_run.name}"):
            jobs = self._k8s_batch_api.list_namespaced_job(where, label_selector=f"step_run_id={step_run.id}").items
            if not jobs:
                return ExecutionStatus.FAILED
            job, patience = jobs[0].metadata, timedelta(minutes=self.config.start_minutes)
            late = datetime.now(UTC) - job.creation_timestamp > patience
            status, said = kube_utils.check_job_status(
                self._k8s_batch_api, self._k8s_core_api, where, job.name, waiting if late else None
            )
        if status is kube_utils.JobStatus.FAILED:
            print(f"Step `{step_run.name}`: its job failed: {said}", flush=True)
            return ExecutionStatus.FAILED
        return ExecutionStatus.COMPLETED if status is kube_utils.JobStatus.SUCCEEDED else ExecutionStatus.RUNNING

    def get_docker_builds(self, snapshot: Any) -> Any:
        """Nothing is built, and no code is uploaded: ZenML asks here before it decides about either."""
        snapshot.pipeline_configuration.settings["docker"] = DockerSettings(
            parent_image=self.config.image,
            skip_build=True,
            allow_including_files_in_images=False,
            allow_download_from_artifact_store=False,
            allow_download_from_code_repository=False,
        )
        return super().get_docker_builds(snapshot)

    def get_settings(self, container: Any) -> Any:
        """The component's own; of a step's job its place and deadline, and the token by reference."""
        settings = cast(KubernetesOrchestratorSettings, super().get_settings(container))
        if not isinstance(container, StepRunInfo):
            return settings
        place = self.config.jobs.get(container.config.name)  # none: somebody asked ZenML for a job by other means
        given = place["pod_settings"] if place else self.config.orchestrator_pod_settings
        pod = KubernetesPodSettings.model_validate(given)
        token = by_reference(TOKEN, self.get_token_secret_name(container.snapshot.id), KUBERNETES_SECRET_TOKEN_KEY_NAME)
        changed = {
            "pod_settings": pod.model_copy(update={"env": [*pod.env, token]}),
            "service_account_name": settings.step_pod_service_account_name,
        }
        return settings.model_copy(
            update=changed | ({"active_deadline_seconds": place["deadline_seconds"]} if place else {})
        )

    def _prepare_job_manifest(self, *args: Any, **given: Any) -> k8s.V1Job:
        # The token is in the run's secret, which the orchestrator's own pod reads too; the stack's own values hold.
        ours = {TOKEN, *(each["name"] for each in given["pod_settings"].env)}
        environment = {name: value for name, value in given["environment"].items() if name not in ours}
        job = super()._prepare_job_manifest(*args, **given | {"environment": environment})
        for container in job.spec.template.spec.containers:
            container.security_context = CONTAINER_RIGHTS
        for rule in job.spec.pod_failure_policy["rules"]:
            rule.setdefault("onPodConditions", [])  # says nothing, but the schemas of some versions ask for it
        return job

    def _submit_orchestrator_job(self, snapshot: Any, *args: Any, **given: Any) -> Any:
        try:
            result = super()._submit_orchestrator_job(snapshot, *args, **given)
        except (PipelineSubmissionError, HTTPError) as error:
            raise ExpungeError(f"run: it was not started: {error}") from error
        with answering("run"):
            job = self._tie_token(snapshot.id)
        assert result is not None and result.wait_for_completion is not None  # as it is unless told otherwise
        return SubmissionResult(partial(waited_for, result.wait_for_completion, partial(self._last_words, job)))

    def _last_words(self, job: str) -> str:
        """Of a job's last pod; nothing if it has none."""
        where = self.config.kubernetes_namespace
        pods = self._k8s_core_api.list_namespaced_pod(where, label_selector=f"job-name={job}").items
        started = [each.metadata for each in pods if each.status.phase != "Pending"]
        if not started:
            return ""
        last = max(started, key=lambda each: each.creation_timestamp).name
        # Whole: the library makes text of bytes as Python shows them.
        said = self._k8s_core_api.read_namespaced_pod_log(last, where, tail_lines=5000, _preload_content=False)
        return last_words(said.data.decode(errors="replace"))

    def _tie_token(self, snapshot: Any) -> str:
        """Let the token's secret go when the job does that it was made for. Returns the job's name."""
        secret, namespace = self.get_token_secret_name(snapshot), self.config.kubernetes_namespace
        jobs = self._k8s_batch_api.list_namespaced_job(namespace).items
        for job in jobs:
            used = [
                each.value_from.secret_key_ref for each in job.spec.template.spec.containers[0].env if each.value_from
            ]
            if any(reference and reference.name == secret for reference in used):
                owner = {"apiVersion": "batch/v1", "kind": "Job", "name": job.metadata.name, "uid": job.metadata.uid}
                self._k8s_core_api.patch_namespaced_secret(
                    secret, namespace, {"metadata": {"ownerReferences": [owner]}}
                )
                return job.metadata.name
        raise RuntimeError(f"no job uses {secret}")  # it was made a moment ago
