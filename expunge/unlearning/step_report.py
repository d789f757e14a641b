"""What one update did."""

import math
from dataclasses import dataclass

from expunge.unlearning.gradients import Coefficients, cosine_of, first_order_changes

Rows = list[tuple[float, float, float]]  # (ff, fr, rr), one row a group of parameters that share coefficients


@dataclass(frozen=True)
class StepReport:
    """What one update did.

    Attributes:
        ff: <a_f,a_f> of what was combined: gradients, or first moments where there is momentum.
        fr: <a_f,a_r>.
        rr: <a_r,a_r>.
        cosine: between a_f and a_r in the same product, −1 to 1; None if the method has only one of them.
        coefficients: c_f and c_r; with scope ``tensor`` their means over the parameters.
        change_forget: change of the forget loss to first order per unit learning rate; None if the method does
            not know that loss's gradient.
        change_retain: the same for the retain loss.
        conflict: whether the two were opposed (with scope ``tensor``: anywhere).
    """

    ff: float
    fr: float
    rr: float
    cosine: float | None
    coefficients: Coefficients
    change_forget: float | None
    change_retain: float | None
    conflict: bool


def report_of(rows: Rows, chosen: list[Coefficients]) -> StepReport:
    """Of a step whose groups of parameters had these products and coefficients."""
    ff, fr, rr = _total(rows)
    changes = [first_order_changes(*row, c) for row, c in zip(rows, chosen, strict=True)]
    mean = Coefficients(
        forget=sum(c.forget for c in chosen) / len(chosen),
        retain=sum(c.retain for c in chosen) / len(chosen),
        conflict=any(c.conflict for c in chosen),
    )
    return StepReport(
        ff=ff,
        fr=fr,
        rr=rr,
        cosine=cosine_of(ff, fr, rr),
        coefficients=mean,
        change_forget=sum(change for change, _ in changes),
        change_retain=sum(change for _, change in changes),
        conflict=mean.conflict,
    )


def _total(rows: Rows) -> tuple[float, float, float]:
    return (
        math.fsum(ff for ff, _, _ in rows),
        math.fsum(fr for _, fr, _ in rows),
        math.fsum(rr for _, _, rr in rows),
    )
