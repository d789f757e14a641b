"""Write the report."""

from typing import Annotated

import pandas as pd
from zenml import get_step_context, step
from zenml.types import HTMLString

from expunge.comeback.report import ComebackReport
from expunge.evaluation import Evaluation, GateDecision
from expunge.models.picture_set import PictureSet
from expunge.prompts.sources import load_prompt_grid
from expunge.release import Lineage
from expunge.reports.assemble import assemble_report
from expunge.takedown.request import TakedownBatch
from expunge.unlearning.cache import GradientCache
from steps.timing import step_seconds


@step(enable_cache=False)
def write_report(
    takedowns: TakedownBatch,
    evaluation: Evaluation,
    decision: GateDecision,
    comeback: list[ComebackReport],
    pictures_before: PictureSet,
    pictures_after: PictureSet,
    trace: pd.DataFrame,
    cache: GradientCache,
    diversity: pd.DataFrame,
    lineage: Lineage,
    prompt_grid: str,
    hide_target_pictures: bool,
) -> Annotated[HTMLString, "report"]:
    """One self-contained page: verdict, pictures, numbers, curves, how to do it again."""
    seconds = step_seconds(get_step_context().pipeline_run)
    grid = load_prompt_grid(prompt_grid)
    return HTMLString(
        assemble_report(
            takedowns, grid, evaluation, decision, comeback, pictures_before, pictures_after, trace,
            cache.conflict_map(), diversity, lineage, seconds, hide_target_pictures,
        )
    )  # fmt: skip
