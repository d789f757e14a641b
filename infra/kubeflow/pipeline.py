"""The pipeline as Kubeflow knows it: count what is pending; if there is anything, unlearn it in one container.

Nothing is cached: both containers look at an inbox that changes without Kubeflow knowing.
"""

from kfp import dsl, kubernetes
from kfp.dsl import base_component, pipeline_task

from infra.image import USER, WRITABLE
from infra.kubeflow.settings import CONFIGS, KubeflowSettings

KEYS = "/etc/expunge/keys"
# Kubeflow mounts a Secret's files so that everybody may read them, and Expunge signs with no such key: so they are
# copied into memory, for the container's user alone.
OWN_KEYS = "/run/expunge-keys"
WITH_KEYS = 'umask 077; cp "$0"/certificate.pem "$0"/model.pem "$1"/; shift; exec expunge retrain "$@"'
SIGNING = {"EXPUNGE_SIGNING_KEY": f"{OWN_KEYS}/certificate.pem", "EXPUNGE_MODEL_SIGNING_KEY": f"{OWN_KEYS}/model.pem"}
LONGEST_BACKOFF = "3600s"
COUNTING_MINUTES = 30  # of a million requests listing takes some minutes, as reckoned in docs/scale.md


def make_pipeline(image: str, settings: KubeflowSettings) -> base_component.BaseComponent:
    """The pipeline, to be compiled.

    Args:
        image: with tag or digest; made by ``infra/image/Dockerfile``.
        settings: of the cluster.
    """

    @dsl.container_component
    def pending(config: str, count: dsl.OutputPath(int)):  # type: ignore[valid-type]
        return dsl.ContainerSpec(
            image=image,
            command=["python", "-m", "infra.kubeflow.pending"],
            args=["--config", config, "--out", count],
        )

    @dsl.container_component
    def retrain(config: str):
        command = ["sh", "-ec", WITH_KEYS, KEYS, OWN_KEYS] if settings.signing_keys else ["expunge", "retrain"]
        return dsl.ContainerSpec(image=image, command=command, args=["--config", config])

    @dsl.pipeline(name=settings.name, description="Takedown requests: counted, and unlearned if there are any.")
    def expunge(config: str = settings.config):
        counted = pending(config=config)
        _set_up(counted, settings, COUNTING_MINUTES)
        # It reads the inbox and nothing else.
        _give_secrets(counted, settings, prefix="AWS_")
        counted.set_cpu_request("500m").set_memory_request("1Gi").set_memory_limit("4Gi")
        with dsl.If(counted.outputs["count"] > 0):
            work = retrain(config=config)
            _set_up(work, settings, settings.deadline_minutes)
            _give_secrets(work, settings)
            work.set_cpu_request(settings.cpu).set_memory_request(settings.memory).set_memory_limit(settings.memory)
            if settings.accelerator:
                work.set_accelerator_type(settings.accelerator.type).set_accelerator_limit(settings.accelerator.limit)
            for key, value in settings.node_selector.items():
                kubernetes.add_node_selector(work, key, value)
            for taint in settings.tolerations:
                how = {"operator": "Equal", "value": taint.value} if taint.value else {"operator": "Exists"}
                kubernetes.add_toleration(work, key=taint.key, effect=taint.effect, **how)
            if settings.signing_keys:
                kubernetes.use_secret_as_volume(work, settings.signing_keys, KEYS)
                kubernetes.empty_dir_mount(work, "keys", OWN_KEYS, medium="Memory", size_limit="1Mi")
                for variable, path in SIGNING.items():
                    work.set_env_variable(variable, path)

    return expunge


def _set_up(task: pipeline_task.PipelineTask, settings: KubeflowSettings, minutes: int) -> None:
    """What both containers share."""
    task.set_caching_options(False)
    task.set_retry(settings.retries, f"{settings.backoff_seconds}s", 2.0, LONGEST_BACKOFF)
    kubernetes.set_timeout(task, 60 * minutes)
    kubernetes.set_security_context(task, run_as_user=USER, run_as_group=USER, run_as_non_root=True)
    for name, path in WRITABLE.items():
        kubernetes.empty_dir_mount(task, name, path, size_limit=settings.scratch)
    if settings.config_map:
        kubernetes.use_config_map_as_volume(task, settings.config_map, CONFIGS)
    if settings.image_pull_secrets:
        kubernetes.set_image_pull_secrets(task, list(settings.image_pull_secrets))
    for variable, value in settings.environment.items():
        task.set_env_variable(variable, value)


def _give_secrets(task: pipeline_task.PipelineTask, settings: KubeflowSettings, prefix: str = "") -> None:
    """By reference; those alone whose variables begin with ``prefix``."""
    for secret, variables in settings.secrets.items():
        wanted = {key: variable for variable, key in variables.items() if variable.startswith(prefix)}
        if wanted:
            kubernetes.use_secret_as_env(task, secret, wanted)
