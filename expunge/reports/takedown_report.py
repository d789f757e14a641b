"""The report of one run: a single HTML file that loads nothing and runs nothing."""

from typing import Any

import pandas as pd

from expunge.metrics.quantities import quantities_of
from expunge.metrics.units import SHARE
from expunge.reports import plots, wording
from expunge.reports.comeback_section import comeback_views
from expunge.reports.gallery import build_gallery, suffered
from expunge.reports.rendering import flattened, render
from expunge.reports.report_facts import ReportFacts

COLLATERAL_ROWS = 10  # shown at once; the rest is folded away


def render_report(facts: ReportFacts) -> str:
    """The report as HTML.

    Raises:
        ExpungeError: there are more pictures than fit on one page at any size.
    """
    evaluation = facts.evaluation
    ranked = sorted(evaluation.collateral, key=lambda row: row.after - row.before)
    return render(
        "report.html.j2",
        facts=facts,
        evaluation=evaluation,
        headline=wording.headline(facts.decision),
        costs=[*wording.earlier_sentences(evaluation.earlier), *wording.cost_sentences(evaluation)],
        earlier=wording.earlier_rows(evaluation.earlier),
        power=wording.power_sentence(evaluation.rest.get("retain_accuracy")),
        requests=_requests(facts),
        retention=wording.retention_rows(evaluation),
        interval_chart=_interval_chart(facts),
        gallery=build_gallery(facts),
        lost=len(suffered(evaluation.collateral)),
        collateral=[ranked[:COLLATERAL_ROWS], ranked[COLLATERAL_ROWS:]],
        comeback=comeback_views(facts.comeback),
        training=_training(facts.course.trace),
        conflict_chart=None if facts.course.conflict_map is None else plots.conflict_chart(facts.course.conflict_map),
        settings=list(flattened(facts.findings.lineage.config)),
        longest_step=max((facts.course.step_seconds or {}).values(), default=0.0),
    )


def _requests(facts: ReportFacts) -> list[dict[str, Any]]:
    """Each request with its target, its scores and the sentence about it."""
    targets = {target.request_id: target for target in facts.targets}
    scores = {each.request_id: each for each in facts.evaluation.targets}
    features = facts.evaluation.frechet_features
    return [
        {
            "request": request,
            "target": targets.get(request.id),
            "sentence": wording.request_sentence(request.target, scores.get(request.id)),
            "rows": wording.target_rows(scores[request.id], features) if request.id in scores else [],
        }
        for request in facts.findings.case.batch.requests
    ]


def _interval_chart(facts: ReportFacts) -> str:
    evaluation = facts.evaluation
    asked = (*evaluation.targets, *evaluation.earlier)
    rows = [(f"UA {scores.name}", scores.numbers.get("unlearning_accuracy")) for scores in asked]
    rows += [(each.label, evaluation.rest.get(each.name)) for each in quantities_of("rest") if each.unit is SHARE]
    return plots.interval_chart([(name, change) for name, change in rows if change is not None], "intervals")


def _training(trace: pd.DataFrame) -> dict[str, Any] | None:
    """Plots and counts of the training trace; None if there was no step."""
    if trace.empty:
        return None
    changes = trace[["change_forget", "change_retain"]].astype(float).dropna()
    return {
        "plots": [
            (
                plots.loss_curves(trace),
                "Both losses are minimised: the forget loss falls as the target goes.",
            ),
            (
                plots.cosine_curve(trace),
                "Below zero the two aims pull against each other and the update is corrected.",
            ),
            (plots.forgotten_curve(trace), "Measured now and then during training, on a small fixed probe."),
            (
                plots.rate_curve(trace),
                "Longer at each check that still finds the target; once it is gone, shorter to standstill.",
            ),
        ],
        "steps": len(trace),
        "seconds": float(trace["seconds"].astype(float).sum()),
        "conflict": float(trace["conflict"].astype(float).mean()),
        "neither_rose": float((changes <= 0).all(axis=1).mean()) if len(changes) else None,
    }
