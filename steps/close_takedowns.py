"""Close the requests: outcome, certificate, report."""

from typing import Annotated

from zenml import step
from zenml.types import HTMLString

import materializers  # noqa: F401
from expunge.evaluation.evaluation import Evaluation, GateDecision
from expunge.release import closing as release
from expunge.release.certificate import Certificate
from expunge.release.lineage import Lineage
from expunge.release.model_version import ModelVersion
from expunge.takedown.request import TakedownBatch


@step(enable_cache=False)
def close_takedowns(
    inbox: str,
    takedowns: TakedownBatch,
    evaluation: Evaluation,
    decision: GateDecision,
    lineage: Lineage,
    version: ModelVersion,
    report: HTMLString,
    method: str,
) -> Annotated[list[Certificate], "certificates"]:
    """Each request gets its outcome and certificate; the report is attached to the registered version."""
    return release.close(inbox, takedowns, evaluation, decision, lineage, version, str(report), method)
