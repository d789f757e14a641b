"""Make the registered version champion, if the gate let it pass."""

from typing import Annotated

from zenml import step

import materializers  # noqa: F401
from expunge.evaluation.evaluation import GateDecision
from expunge.release.model_version import ModelVersion
from expunge.release.registry import Registry


@step(enable_cache=False)
def promote_model(version: ModelVersion, decision: GateDecision) -> Annotated[ModelVersion, "champion"]:
    """The champion moves only through the gate; the former one stays reachable."""
    return Registry(name=version.name).promote(version.version, decision)
