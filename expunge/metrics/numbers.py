"""Measured numbers: a value with its interval, and the same before and after."""

from pydantic import BaseModel, ConfigDict


class Interval(BaseModel):
    """A number with its 95 % confidence interval and the sample it rests on."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    value: float
    low: float
    high: float
    samples: int


def complement(share: Interval) -> Interval:
    """One minus a share: of the pictures without a target, those that show it."""
    return Interval(value=1 - share.value, low=1 - share.high, high=1 - share.low, samples=share.samples)


class Change(BaseModel):
    """The same quantity before and after, and the paired difference after − before."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    before: Interval
    after: Interval
    difference: Interval
