"""Write the report."""

from typing import Annotated

import pandas as pd
from zenml import get_step_context, step
from zenml.types import HTMLString

import materializers  # noqa: F401
from expunge.case import Case
from expunge.comeback.comeback_report import ComebackReport
from expunge.evaluation.evaluation import Evaluation, GateDecision
from expunge.pictures.picture_set import PictureSet
from expunge.release.lineage import Lineage
from expunge.reports.assemble import assemble_report
from expunge.unlearning.gradient_cache import GradientCache
from steps.timing import step_seconds


@step(enable_cache=False)
def write_report(
    case: Case,
    evaluation: Evaluation,
    decision: GateDecision,
    comeback: list[ComebackReport],
    pictures_before: PictureSet,
    pictures_after: PictureSet,
    trace: pd.DataFrame,
    cache: GradientCache,
    diversity: pd.DataFrame,
    lineage: Lineage,
    hide_target_pictures: bool,
) -> Annotated[HTMLString, "report"]:
    """One self-contained page: verdict, pictures, numbers, curves, how to do it again."""
    seconds = step_seconds(get_step_context().pipeline_run)
    return HTMLString(
        assemble_report(
            case, evaluation, decision, comeback, pictures_before, pictures_after, trace,
            cache.conflict_map(), diversity, lineage, seconds, hide_target_pictures,
        )
    )  # fmt: skip
