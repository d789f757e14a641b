"""ZenML's Kubernetes orchestrator where it would leak or break.

ZenML 0.98 writes its token into the manifest of every step's own job, ``pass_zenml_token_as_secret`` or not; writes a
container's rights under names that Kubernetes does not know; leaves the token's secret behind for ever; and builds or
uploads code that is in the image already.
"""

from typing import Any, cast

from kubernetes import client as k8s
from zenml.config import DockerSettings
from zenml.config.retry_config import StepRetryConfig
from zenml.config.step_run_info import StepRunInfo
from zenml.enums import StepRuntime
from zenml.integrations.kubernetes.constants import KUBERNETES_SECRET_TOKEN_KEY_NAME
from zenml.integrations.kubernetes.flavors.kubernetes_orchestrator_flavor import KubernetesOrchestratorSettings
from zenml.integrations.kubernetes.orchestrators import KubernetesOrchestrator
from zenml.integrations.kubernetes.pod_settings import KubernetesPodSettings

from infra.kubernetes.flavor import ExpungeKubernetesConfig
from infra.kubernetes.pods import CONTAINER_RIGHTS, by_reference

TOKEN = "ZENML_STORE_API_TOKEN"


class ExpungeKubernetesOrchestrator(KubernetesOrchestrator):
    """Runs pipelines in the stack's image, and the steps that have a place of their own as jobs."""

    @property
    def config(self) -> ExpungeKubernetesConfig:
        """What the component was told."""
        return cast(ExpungeKubernetesConfig, self._config)

    def options_of(self, step: str) -> dict[str, Any]:
        """What a step is run with: as a job of its own, tried again, if it has a place; else nothing."""
        place = self.config.jobs.get(step)
        if place is None:
            return {}
        retry = {"retry": StepRetryConfig(max_retries=place["retries"])} if place["retries"] else {}
        return {"runtime": StepRuntime.ISOLATED} | retry

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
        result = super()._submit_orchestrator_job(snapshot, *args, **given)
        self._tie_token(snapshot.id)
        return result

    def _tie_token(self, snapshot: Any) -> None:
        """Let the token's secret go when the job does that it was made for."""
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
                return
