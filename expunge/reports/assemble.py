"""Gather a run's artifacts into its report."""

from collections.abc import Sequence
from datetime import UTC, datetime

import pandas as pd

from expunge.case import Case
from expunge.comeback.comeback_report import ComebackReport
from expunge.evaluation.evaluation import Evaluation, GateDecision
from expunge.pictures.picture_set import PictureSet
from expunge.release.lineage import Lineage
from expunge.reports.report_facts import ReportFacts
from expunge.reports.takedown_report import render_report


def assemble_report(
    case: Case,
    evaluation: Evaluation,
    decision: GateDecision,
    comeback: Sequence[ComebackReport],
    before: PictureSet,
    after: PictureSet,
    trace: pd.DataFrame,
    conflict_map: pd.DataFrame,
    diversity: pd.DataFrame,
    lineage: Lineage,
    step_seconds: dict[str, float],
    hide_target_pictures: bool,
) -> str:
    """The report of one run as one HTML page. Arguments as in ``ReportFacts``."""
    facts = ReportFacts(
        title=f"Takedown: {', '.join(target.name for target in case.targets)}",
        created_at=datetime.now(UTC),
        batch=case.batch,
        targets=case.targets,
        evaluation=evaluation,
        decision=decision,
        comeback=tuple(comeback),
        before=before,
        after=after,
        trace=trace,
        conflict_map=conflict_map,
        diversity={row.set: float(row.value) for row in diversity.itertuples() if not row.set.startswith("neighbours")},
        settings=lineage.config,
        lineage={
            "base model": lineage.base.source,
            "code": lineage.code_commit,
            **{f"SHA-256 of {name.replace('_', ' ')}": value for name, value in lineage.hashes.model_dump().items()},
        },
        step_seconds=step_seconds,
        hide_target_pictures=hide_target_pictures,
    )
    return render_report(facts)
