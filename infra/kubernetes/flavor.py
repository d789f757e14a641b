"""ZenML's Kubernetes orchestrator with the settings of our stack: what it is called, and what it is told."""

from typing import Any

from zenml.integrations.kubernetes.flavors.kubernetes_orchestrator_flavor import (
    KubernetesOrchestratorConfig,
    KubernetesOrchestratorFlavor,
)

FLAVOR = "expunge-kubernetes"


class ExpungeKubernetesConfig(KubernetesOrchestratorConfig):
    """That of ZenML, and the image that is never built, and the steps that have a job of their own.

    Attributes:
        image: what all pods run.
        jobs: pod settings, deadline and retries, by step.
        start_minutes: how long a step's pod may wait for its image or a secret before it counts as failed.
    """

    image: str
    start_minutes: int = 10
    jobs: dict[str, dict[str, Any]] = {}


class ExpungeKubernetesFlavor(KubernetesOrchestratorFlavor):
    """How ZenML finds ``infra.kubernetes.orchestrator``."""

    @property
    def name(self) -> str:
        """As ``zenml orchestrator flavor list`` shows it."""
        return FLAVOR

    @property
    def docs_url(self) -> str | None:
        """None of its own."""
        return None

    @property
    def sdk_docs_url(self) -> str | None:
        """None of its own."""
        return None

    @property
    def config_class(self) -> type[ExpungeKubernetesConfig]:
        """What a component of this flavor is told."""
        return ExpungeKubernetesConfig

    @property
    def implementation_class(self) -> Any:
        """The orchestrator."""
        from infra.kubernetes.orchestrator import ExpungeKubernetesOrchestrator

        return ExpungeKubernetesOrchestrator
