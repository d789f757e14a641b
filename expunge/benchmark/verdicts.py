"""What a paired difference says where many are looked at: decided, too small to matter, or not decided.

Sources: Holm, Scandinavian Journal of Statistics 6, 1979, p. 65, for the many; an interval within the margin for "no
difference", as in Schuirmann, Journal of Pharmacokinetics and Biopharmaceutics 15, 1987, p. 657.
"""

import math
from collections.abc import Sequence

from expunge.metrics.numbers import Interval
from expunge.metrics.quantities import Quantity
from expunge.metrics.units import COSINE, SHARE

LEVEL = 0.05
MATTERS = {SHARE: 0.015, COSINE: 0.005}  # by unit: what is smaller changes no decision


def holm(p_values: Sequence[float]) -> list[float]:
    """Each p-value as it is when all are looked at, 0–1; in the order given."""
    order, adjusted, so_far = sorted(range(len(p_values)), key=lambda i: p_values[i]), [1.0] * len(p_values), 0.0
    for rank, place in enumerate(order):
        so_far = max(so_far, min(1.0, (len(order) - rank) * p_values[place]))
        adjusted[place] = so_far
    return adjusted


def verdict(interval: Interval, p_value: float, quantity: Quantity) -> str | None:
    """``higher`` or ``lower`` where that is decided, ``no difference`` where all of the interval is too small to
    matter, else ``not decided``; None without an interval.

    Args:
        interval: of the mean difference, 95 %.
        p_value: that there is none, corrected for all that were looked at.
        quantity: what differs.
    """
    if not math.isfinite(interval.low):
        return None
    if p_value < LEVEL:
        return "higher" if interval.value > 0 else "lower"
    largest = max(abs(interval.low), abs(interval.high))
    return "no difference" if largest <= MATTERS.get(quantity.unit, 0.0) else "not decided"
