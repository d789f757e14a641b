"""Close the requests: outcome, certificate, report."""

from typing import Annotated

from zenml import step
from zenml.types import HTMLString

from expunge import release
from expunge.evaluation import Evaluation, GateDecision
from expunge.model_version import ModelVersion
from expunge.release import Lineage
from expunge.reports.certificate import Certificate
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
