"""Gather what the run found: numbers, decision, and what the unlearned model was made from."""

from typing import Annotated, Any

from zenml import step

import materializers  # noqa: F401
from expunge.case import Case
from expunge.evaluation.evaluation import Evaluation, GateDecision
from expunge.models.text_to_image import TextToImage
from expunge.pictures.picture_set import PictureSet
from expunge.release.base_model import BaseModelFacts
from expunge.release.findings import Findings
from expunge.release.lineage import trace


@step(enable_cache=False)
def gather_findings(
    base: BaseModelFacts,
    unlearned: TextToImage,
    forget: PictureSet,
    retain: PictureSet,
    case: Case,
    evaluation: Evaluation,
    decision: GateDecision,
    config: dict[str, Any],
) -> Annotated[Findings, "findings"]:
    """All that version, report and certificates are written from, with hashes and the code that runs now."""
    lineage = trace(base, unlearned, forget, retain, case, config)
    return Findings(case=case, evaluation=evaluation, decision=decision, lineage=lineage)
