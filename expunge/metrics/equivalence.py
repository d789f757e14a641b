"""Equivalence: is a number of one kind of model as it is of another, up to a margin? Two one-sided tests.

Not to find a difference shows nothing: with few models none is found. Here the burden lies on the other side. Source:
Schuirmann, Journal of Pharmacokinetics and Biopharmaceutics 15, 1987, p. 657; with Welch's standard error and degrees
of freedom (Biometrika 34, 1947, p. 28), as two kinds of models need not scatter alike.
"""

from collections.abc import Sequence

import numpy as np
from pydantic import BaseModel, ConfigDict
from scipy.stats import t as students_t

from expunge.errors import ExpungeError

LEVEL = 0.05  # of each of the two tests, and so of both together


class Equivalence(BaseModel):
    """Whether two means are alike.

    Attributes:
        difference: mean of the values − mean of the references.
        low: lower end of its 90 % interval, which is what two tests of 5 % each look at.
        high: upper end.
        margin: differences below it do not matter.
        p_value: the larger one of the two tests, 0–1.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    difference: float
    low: float
    high: float
    margin: float
    p_value: float

    @property
    def shown(self) -> bool:
        """Whether the means differ by less than the margin, at 5 %."""
        return self.p_value < LEVEL


def equivalence(values: Sequence[float], references: Sequence[float], margin: float) -> Equivalence:
    """Test that the mean of some values lies within a margin of the mean of others, both independent.

    Args:
        values: one for each model, at least two.
        references: one for each model that they are to be like, at least two.
        margin: > 0, in the same unit.

    Raises:
        ExpungeError: too few, one that is not finite, or a margin that is not above 0.
    """
    first, second = (np.asarray(each, dtype=np.float64) for each in (values, references))
    if min(len(first), len(second)) < 2 or not (np.isfinite(first).all() and np.isfinite(second).all()):
        raise ExpungeError("equivalence: at least two finite numbers of each kind are needed; measure more models.")
    if not margin > 0:
        raise ExpungeError(f"equivalence: a margin of {margin:g} was given; it must be above 0.")
    parts = [float(each.var(ddof=1)) / len(each) for each in (first, second)]
    difference, error = float(first.mean() - second.mean()), float(np.sqrt(sum(parts)))
    if error == 0:  # no model differs from another of its kind
        inside = abs(difference) < margin
        return Equivalence(difference=difference, low=difference, high=difference, margin=margin, p_value=1.0 - inside)
    # By shares of the whole: squares of the parts themselves may vanish.
    freedom = 1 / sum((p / sum(parts)) ** 2 / (len(e) - 1) for p, e in zip(parts, (first, second), strict=True))
    reach = float(students_t.ppf(1 - LEVEL, freedom)) * error
    p_value = max(float(students_t.sf((margin + side * difference) / error, freedom)) for side in (1, -1))
    return Equivalence(
        difference=difference, low=difference - reach, high=difference + reach, margin=margin, p_value=p_value
    )
