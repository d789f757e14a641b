"""Our orchestrator as ZenML makes it from the component that ``register_stack`` stores."""

import json
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from zenml.enums import StackComponentType

from infra.kubernetes.flavor import ExpungeKubernetesConfig, ExpungeKubernetesFlavor
from infra.kubernetes.stack import component_settings
from infra.kubernetes.stack_settings import StackSettings


def orchestrator_of(settings: StackSettings) -> Any:
    """Its configuration has been stored as JSON."""
    stored, now = json.loads(json.dumps(component_settings(settings))), datetime.now(UTC)
    return ExpungeKubernetesFlavor().implementation_class(
        name="kubernetes",
        id=uuid4(),
        config=ExpungeKubernetesConfig(**stored),
        flavor="expunge-kubernetes",
        type=StackComponentType.ORCHESTRATOR,
        user=None,
        created=now,
        updated=now,
    )
