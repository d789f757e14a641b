"""The trace of an unlearning run: one row a step, and why it ended."""

from typing import Literal

import pandas as pd
from pydantic import BaseModel, ConfigDict

from expunge.unlearning.calibration import Calibration


class TraceRow(BaseModel):
    """One step. Losses are those before the step, on its own batches.

    Attributes:
        step: 1, 2, …
        forget_loss: truncated forget loss; None if the method does not look at it.
        retain_loss: retain loss as the alignment says; None likewise.
        cosine: between what was combined, −1 to 1, in the product of the method; None if it combines nothing.
        forget_coefficient: coefficient of the forget gradient.
        retain_coefficient: coefficient of the retain gradient.
        conflict: whether the gradients were opposed.
        change_forget: change of this step's batch's forget loss, to first order and per unit learning rate, along the
            step that was taken: the same for every method; None if it does not know that loss's gradient.
        change_retain: the same of the retain loss.
        averaged_change_forget: the same of the averaged gradient, which our engine keeps from rising; None for others.
        averaged_change_retain: the same of the retain loss.
        passes: batches that went forward and backward; one that only went forward counts a third.
        seconds: of this step, with its probe, without the check.
        pace: how far the step went, as a multiple of η.
        learning_rate: η, given or measured, times the pace.
        step_share: how much of the step the safeguard kept, 0–1.
        probe_forget: forget loss on the probe after the step; None where it was not measured.
        probe_retain: retain loss on the probe, likewise.
        forgotten: share forgotten, 0–1, at a check; None between checks.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    step: int
    forget_loss: float | None
    retain_loss: float | None
    cosine: float | None
    forget_coefficient: float
    retain_coefficient: float
    conflict: bool
    change_forget: float | None
    change_retain: float | None
    averaged_change_forget: float | None = None
    averaged_change_retain: float | None = None
    passes: float
    seconds: float
    pace: float = 1.0
    learning_rate: float | None = None
    step_share: float = 1.0
    probe_forget: float | None = None
    probe_retain: float | None = None
    forgotten: float | None = None


class Trace(BaseModel):
    """All steps of a run.

    Attributes:
        rows: one a step.
        stopped: ``steps`` when the number of steps was used up, ``forgotten`` when the run's stopping rule was met (see
            ``UnlearnSettings.stopping_rule``).
        probe_forget_start: forget loss on the probe at θ₀; None without a probe.
        probe_retain_start: retain loss on the probe at θ₀.
        calibration: how η was measured; None where it was given.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    rows: tuple[TraceRow, ...]
    stopped: Literal["steps", "forgotten"]
    probe_forget_start: float | None = None
    probe_retain_start: float | None = None
    calibration: Calibration | None = None

    def frame(self) -> pd.DataFrame:
        """The rows as a table."""
        return pd.DataFrame([row.model_dump() for row in self.rows], columns=list(TraceRow.model_fields))
