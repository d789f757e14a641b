"""Schedules in a cluster: cron jobs of our own that run ``expunge retrain``.

Not ZenML's schedules: those carry a token without an end in clear, know no time zone, stand in two places that can
disagree, and start the pipeline without asking whether anything is pending. So the cluster alone knows when, ZenML
learns of a run when it begins, and there is nothing to bring into agreement.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kubernetes import client

from expunge.errors import ExpungeError
from expunge.schedule.schedules import check_name
from expunge.schedule.timing import Timing
from infra.image import FOLDER
from infra.kubernetes import pods
from infra.kubernetes.api import SECONDS, answering, connect, whole
from infra.kubernetes.stack_settings import StackSettings

OURS = {"app.kubernetes.io/name": "expunge", "app.kubernetes.io/component": "schedule"}
SELECTOR = ",".join(f"{key}={value}" for key, value in OURS.items())
CONFIG = "/etc/expunge"
ATTEMPTS = 3
LATE = 3600  # seconds after its minute within which a run that was missed is still started
Object = dict[str, Any]


@dataclass(frozen=True)
class ClusterSchedule:
    """A schedule as the cluster has it; ``timezone`` is empty if it names none."""

    name: str
    cron: str
    timezone: str
    suspended: bool
    last: str


def pod_spec(settings: StackSettings, command: list[str], config_map: str = "") -> Object:
    """The pod of a schedule, which submits a run and waits for it."""
    key = settings.zenml.api_key
    main: Object = {
        "name": "main",
        "image": settings.image,
        "command": command,
        "workingDir": FOLDER,
        "env": [*pods.environment(settings), pods.by_reference("ZENML_STORE_API_KEY", key.secret, key.key)],
        "resources": {name: value for name, value in settings.retrain.resources.model_dump().items() if value},
        "securityContext": pods.CONTAINER_RIGHTS,
        "volumeMounts": pods.mounts(settings),
    }
    spec: Object = {
        "serviceAccountName": settings.runner_account,
        "restartPolicy": "Never",
        "securityContext": pods.POD_RIGHTS,
        "containers": [main],
        "volumes": pods.volumes(settings),
    } | pods.placed_at(settings.retrain)
    if config_map:
        main["volumeMounts"].append({"name": "config", "mountPath": CONFIG, "readOnly": True})
        spec["volumes"].append({"name": "config", "configMap": {"name": config_map}})
    if first := pods.first_containers(settings):
        spec["initContainers"] = first
    if settings.pull_secret:
        spec["imagePullSecrets"] = [{"name": settings.pull_secret}]
    return spec


def schedule_objects(settings: StackSettings, name: str, timing: Timing, config: str, stack: str) -> list[Object]:
    """The objects of a schedule: its run's configuration, and the cron job.

    Args:
        timing: with a time zone.
        config: YAML of ``unlearn_pipeline``.
        stack: the ZenML stack's id.
    """
    full = f"expunge-{check_name(name)}"
    metadata = {"name": full, "namespace": settings.namespace, "labels": OURS}
    command = ["python", "-m", "infra.kubernetes.tick", "--config", f"{CONFIG}/config.yaml"]
    pod = pod_spec(settings, command, full)
    pod["containers"][0]["env"].append({"name": "ZENML_ACTIVE_STACK_ID", "value": stack})
    # An empty list says nothing, but the schemas of some versions ask for it.
    final = {"containerName": "main", "operator": "In", "values": [2]}
    job = {
        "backoffLimit": ATTEMPTS - 1,
        "activeDeadlineSeconds": 60 * settings.retrain.deadline_minutes,
        "podFailurePolicy": {
            "rules": [
                {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
                # What expunge retrain says no to it would say no to again.
                {"action": "FailJob", "onExitCodes": final, "onPodConditions": []},
            ]
        },
        "template": {"metadata": {"labels": OURS}, "spec": pod},
    }
    spec = {
        "schedule": timing.cron,
        "timeZone": timing.timezone,
        "concurrencyPolicy": "Forbid",
        "startingDeadlineSeconds": LATE,
        "successfulJobsHistoryLimit": settings.retrain.succeeded_kept,
        "failedJobsHistoryLimit": settings.retrain.failed_kept,
        "jobTemplate": {"metadata": {"labels": OURS}, "spec": job},
    }
    return [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"config.yaml": config}},
        {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": metadata, "spec": spec},
    ]


class ClusterSchedules:
    """Those of one namespace. Everything raises ExpungeError where the cluster cannot be asked."""

    def __init__(self, settings: StackSettings) -> None:
        self.settings = settings
        self._api = connect(settings.context)
        self._core, self._batch = client.CoreV1Api(self._api), client.BatchV1Api(self._api)
        self._timeout = {"_request_timeout": SECONDS}

    def install(self, name: str, timing: Timing, config: Path | None, stack: str) -> None:
        """Make a schedule, or bring one of that name up to date; it is not suspended then."""
        text = config.read_text(encoding="utf-8") if config else "parameters: {}\n"
        config_map, cron_job = schedule_objects(self.settings, name, timing, text, stack)
        where = self.settings.namespace
        with answering("schedule"):
            self._put(self._core.create_namespaced_config_map, self._core.replace_namespaced_config_map, config_map)
            self._put(self._batch.create_namespaced_cron_job, self._batch.replace_namespaced_cron_job, cron_job)
            kept = whole(self._api, self._batch.read_namespaced_cron_job(f"expunge-{name}", where, **self._timeout))
        if kept["spec"].get("timeZone") != timing.timezone:
            raise ExpungeError("timezone: this cluster does not keep it; it needs Kubernetes 1.27 or newer.")

    def _put(self, create: Any, replace: Any, manifest: Object) -> None:
        try:
            create(self.settings.namespace, manifest, **self._timeout)
        except client.ApiException as error:
            if error.status != 409:
                raise
            replace(manifest["metadata"]["name"], self.settings.namespace, manifest, **self._timeout)

    def installed(self) -> list[ClusterSchedule]:
        """All that are there, by name."""
        where = self.settings.namespace
        with answering("schedule"):
            found = self._batch.list_namespaced_cron_job(where, label_selector=SELECTOR, **self._timeout)
        return sorted((self._read(whole(self._api, each)) for each in found.items), key=lambda each: each.name)

    def _read(self, cron_job: Object) -> ClusterSchedule:
        spec = cron_job["spec"]
        last = cron_job.get("status", {}).get("lastScheduleTime", "")
        name = cron_job["metadata"]["name"].removeprefix("expunge-")
        return ClusterSchedule(name, spec["schedule"], spec.get("timeZone", ""), spec.get("suspend", False), last)

    def suspend(self, name: str, suspended: bool) -> None:
        """Let a schedule rest, or go on; what runs now goes on. Raises ExpungeError if there is none."""
        self._known(name)
        with answering("schedule"):
            patch = {"spec": {"suspend": suspended}}
            self._batch.patch_namespaced_cron_job(f"expunge-{name}", self.settings.namespace, patch, **self._timeout)

    def remove(self, name: str) -> None:
        """Take a schedule away; what runs now goes on. Raises ExpungeError if there is none."""
        self._known(name)
        where, full = self.settings.namespace, f"expunge-{name}"
        with answering("schedule"):
            # Orphan: else the job that runs now would go with it.
            self._batch.delete_namespaced_cron_job(full, where, propagation_policy="Orphan", **self._timeout)
            self._core.delete_namespaced_config_map(full, where, **self._timeout)

    def _known(self, name: str) -> None:
        if check_name(name) not in [each.name for each in self.installed()]:
            raise ExpungeError(
                f"name: no schedule '{name}' is installed in namespace {self.settings.namespace}; "
                "see: expunge schedule show --kubernetes"
            )
