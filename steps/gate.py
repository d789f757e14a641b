"""Hold the evaluation against the thresholds."""

from typing import Annotated

from zenml import step

import materializers  # noqa: F401
from expunge.evaluation.evaluation import Evaluation, GateDecision
from expunge.evaluation.gate import GateThresholds, judge


@step
def gate(evaluation: Evaluation, thresholds: GateThresholds) -> Annotated[GateDecision, "gate_decision"]:
    """Interval bounds against thresholds; missing evidence means no."""
    return judge(evaluation, thresholds)
