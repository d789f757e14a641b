"""Write the report."""

from typing import Annotated

import pandas as pd
from zenml import get_step_context, step
from zenml.types import HTMLString

import materializers  # noqa: F401
from expunge.comeback.comeback_report import ComebackReport
from expunge.pictures.picture_set import PictureSet
from expunge.release.findings import Findings
from expunge.reports.report_facts import Course, ReportFacts
from expunge.reports.takedown_report import render_report
from expunge.unlearning.gradient_cache import GradientCache
from steps.timing import step_seconds


@step(enable_cache=False)
def write_report(
    findings: Findings,
    comeback: list[ComebackReport],
    pictures_before: PictureSet,
    pictures_after: PictureSet,
    trace: pd.DataFrame,
    cache: GradientCache,
    diversity: pd.DataFrame,
    hide_target_pictures: bool,
) -> Annotated[HTMLString, "report"]:
    """One self-contained page: verdict, pictures, numbers, curves, how to do it again."""
    seconds = step_seconds(get_step_context().pipeline_run)
    course = Course(trace, cache.conflict_map(), diversity, seconds)
    facts = ReportFacts(findings, pictures_before, pictures_after, course, tuple(comeback), hide_target_pictures)
    return HTMLString(render_report(facts))
