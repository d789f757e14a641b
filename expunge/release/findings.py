"""What a finished run found: all that registration, report and certificates are written from."""

from pydantic import BaseModel, ConfigDict

from expunge.case import Case
from expunge.evaluation.evaluation import Evaluation, GateDecision
from expunge.release.lineage import Lineage


class Findings(BaseModel):
    """The evidence of one run.

    Attributes:
        case: what it was about.
        evaluation: the numbers, before and after.
        decision: the gate's.
        lineage: what the model was made from.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    case: Case
    evaluation: Evaluation
    decision: GateDecision
    lineage: Lineage

    def failures(self) -> str:
        """The conditions of the gate that were not met, as one line."""
        failed = [f"{each.name}: {each.measured} ({each.rule})" for each in self.decision.conditions if not each.passed]
        return "; ".join(failed)
