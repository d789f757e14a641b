"""How numbers are written: a factor, a number format, and suffixes."""

import math
from dataclasses import dataclass

from expunge.metrics.numbers import Interval

MINUS = "\u2212"
SPACE = "\u00a0"
UNDEFINED = "not measured"


@dataclass(frozen=True)
class Unit:
    """How values of one quantity are written: a factor, a number format, and suffixes."""

    factor: float
    form: str
    value_suffix: str
    difference_suffix: str

    def value(self, number: float) -> str:
        """A plain value, e.g. ``95.1 %``."""
        return f"{self._digits(number)}{self.value_suffix}" if math.isfinite(number) else UNDEFINED

    def difference(self, number: float) -> str:
        """A signed value, e.g. ``−1.2 points``."""
        return f"{self._signed(number)}{self.difference_suffix}" if math.isfinite(number) else UNDEFINED

    def range(self, interval: Interval, signed: bool = False) -> str:
        """The bounds of an interval, e.g. ``93.0–97.0``, or ``−2.5 to +0.1`` for a difference."""
        if not (math.isfinite(interval.low) and math.isfinite(interval.high)):
            return UNDEFINED
        if signed or interval.low < 0:
            return f"{self._signed(interval.low)} to {self._signed(interval.high)}"
        return f"{self._digits(interval.low)}–{self._digits(interval.high)}"

    def _digits(self, number: float) -> str:
        digits = format(abs(number) * self.factor, self.form)
        return MINUS + digits if number < 0 and float(digits) else digits

    def _signed(self, number: float) -> str:
        digits = self._digits(number)
        return f"+{digits}" if number > 0 and float(digits) else digits


SHARE = Unit(100, ".1f", f"{SPACE}%", f"{SPACE}points")
COSINE = Unit(1, ".3f", "", "")
DISTANCE = Unit(1, ".3g", "", "")
