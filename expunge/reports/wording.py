"""Numbers as people read them, and the verdict in words."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from expunge.evaluation.evaluation import Evaluation, GateDecision, TargetScores
from expunge.metrics.numbers import Change, Interval
from expunge.reports.gallery import suffered

MINUS = "\u2212"
SPACE = "\u00a0"
UNDEFINED = "not measured"

APPROXIMATE = (
    "Unlearning is approximate. The model's weights were changed to make it stop drawing the target when "
    "asked in the ways that were measured. It was not trained anew without the target: traces may remain, "
    "and whoever holds the weights may bring it back by further training or by prompts that were not tried."
)


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


@dataclass(frozen=True)
class Row:
    """One quantity before and after, written out for a table."""

    label: str
    note: str
    before: str
    before_range: str
    after: str
    after_range: str
    difference: str
    difference_range: str
    samples: str


def table_row(label: str, note: str, change: Change, unit: Unit) -> Row:
    """Write a change out. Sample sizes that differ between before, after and the difference are all given."""
    sizes = dict.fromkeys((change.before.samples, change.after.samples, change.difference.samples))
    return Row(
        label,
        note,
        unit.value(change.before.value),
        unit.range(change.before),
        unit.value(change.after.value),
        unit.range(change.after),
        unit.difference(change.difference.value),
        unit.range(change.difference, signed=True),
        " / ".join(f"{size:,}" for size in sizes),
    )


# Quantities of an evaluation by field name: label, note, unit. A target has those in OF_TARGET.
QUANTITIES: dict[str, tuple[str, str, Unit]] = {
    "unlearning_accuracy": ("UA", "independent classifier", SHARE),
    "unlearning_accuracy_clip": ("UA by CLIP", "zero-shot", SHARE),
    "in_domain": ("IRA", "the target's factor", SHARE),
    "cross_domain": ("CRA", "the other factors", SHARE),
    "retain_accuracy": ("RA", "everything as asked", SHARE),
    "retain_accuracy_clip": ("RA by CLIP", "subject, zero-shot", SHARE),
    "frechet_distance": ("FD", "lower is closer", DISTANCE),
    "alignment_train": ("AS, train", "CLIP cosine, training side", COSINE),
    "alignment_held_out": ("AS, held-out", "CLIP cosine, kept-back side", COSINE),
}
OF_TARGET = ("unlearning_accuracy", "unlearning_accuracy_clip", "in_domain", "cross_domain")
OF_THE_REST = ("retain_accuracy", "in_domain", "cross_domain", *list(QUANTITIES)[5:])


def quantity_row(name: str, change: Change | None) -> Row:
    """One quantity of ``QUANTITIES`` written out; None becomes a row that says it was not measured."""
    label, note, unit = QUANTITIES[name]
    if change is None:
        return Row(label, note, UNDEFINED, "", UNDEFINED, "", UNDEFINED, "", "0")
    return table_row(label, note, change, unit)


def retention_rows(evaluation: Evaluation) -> list[Row]:
    """Everything measured about the rest, over all targets: RA, IRA, CRA, FD, AS."""
    return [quantity_row(name, getattr(evaluation, name)) for name in OF_THE_REST]


def target_rows(scores: TargetScores) -> list[Row]:
    """UA by both judges, and the target's own IRA and CRA."""
    return [quantity_row(name, getattr(scores, name)) for name in OF_TARGET]


def earlier_rows(earlier: Sequence[TargetScores]) -> list[Row]:
    """UA of each target that earlier runs forgot, by the independent classifier."""
    told = "forgotten by an earlier run"
    return [table_row(f"UA {each.name}", told, each.unlearning_accuracy, SHARE) for each in earlier]


def earlier_sentences(earlier: Sequence[TargetScores]) -> list[str]:
    """Which of them this run brought back, as far as the sample shows; one sentence if none."""
    back = [each for each in earlier if each.unlearning_accuracy.difference.high < 0]
    found = [
        f"“{each.name}”, forgotten by an earlier run, came back: it shows in "
        f"{SHARE.value(1 - each.unlearning_accuracy.after.value)} of {each.unlearning_accuracy.after.samples:,} "
        f"pictures, in {SHARE.value(1 - each.unlearning_accuracy.before.value)} before this run."
        for each in back
    ]
    if earlier and not back:
        found.append(f"None of the {len(earlier)} targets of earlier runs came back that this sample could tell.")
    return found


def headline(decision: GateDecision) -> str:
    """The verdict in one line."""
    if decision.passed:
        return "Passed. The unlearned model may replace the one in use."
    return "Not passed. The model in use stays as it is."


def request_sentence(name: str, scores: TargetScores | None) -> str:
    """What became of one request, e.g. how often the classifier still finds the target."""
    if scores is None:
        return f"“{name}” was not measured, so nothing can be said about it."
    ua = scores.unlearning_accuracy
    if not math.isfinite(ua.after.value):
        return f"“{name}” was asked for, but the measurement gave no number."
    found = Interval(
        value=1 - ua.after.value,
        low=max(0.0, 1 - ua.after.high),
        high=1 - ua.after.low,
        samples=ua.after.samples,
    )
    return (
        f"Asked for “{name}”, the model still shows it in {SHARE.value(found.value)} of "
        f"{found.samples:,} pictures (95{SPACE}% interval {SHARE.range(found)}). "
        f"Before, it did in {SHARE.value(1 - ua.before.value)}."
    )


def cost_sentences(evaluation: Evaluation) -> list[str]:
    """What the takedown cost: retention, the level that suffered most, distance and alignment."""
    sentences = [_retention_sentence(evaluation.retain_accuracy)]
    worst = suffered(evaluation.collateral)
    if worst:
        sentences.append(
            f"“{worst[0].level}” ({worst[0].factor}) suffered most: {SHARE.value(worst[0].before)} before, "
            f"{SHARE.value(worst[0].after)} after, {worst[0].samples:,} pictures."
        )
    distance, alignment = evaluation.frechet_distance, evaluation.alignment_held_out
    sentences.append(
        f"Fréchet distance went from {DISTANCE.value(distance.before.value)} to "
        f"{DISTANCE.value(distance.after.value)} ({evaluation.frechet_features}), "
        f"the alignment score on held-out wordings from {COSINE.value(alignment.before.value)} to "
        f"{COSINE.value(alignment.after.value)}."
    )
    return sentences


def power_sentence(change: Change) -> str:
    """The smallest true change of RA that such a sample finds four times in five (normal approximation)."""
    deviation = (change.difference.high - change.difference.low) / (2 * 1.96)
    if not math.isfinite(deviation):
        return "The interval of the change is undefined: this sample cannot tell any change of RA from chance."
    return (
        f"A sample like this one finds a true change of RA of "
        f"{100 * (1.96 + 0.84) * deviation:.1f}{SPACE}points four times in five; smaller ones it may miss."
    )


def duration(seconds: float) -> str:
    """Seconds as people say them: ``0.42 s``, ``12 s``, ``3 min 05 s``."""
    if seconds < 10:
        return f"{seconds:.2f}{SPACE}s"
    if seconds < 60:
        return f"{seconds:.0f}{SPACE}s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}{SPACE}min {rest:02d}{SPACE}s"


def _retention_sentence(change: Change) -> str:
    difference = change.difference
    if not all(map(math.isfinite, (difference.value, difference.low, difference.high))):
        return "What it cost the rest was not measured."
    numbers = (
        f"{SHARE.value(change.before.value)} before, {SHARE.value(change.after.value)} after, "
        f"{SHARE.difference(difference.value)} (95{SPACE}% interval {SHARE.range(difference, signed=True)})"
    )
    if difference.high < 0:
        return f"Everything else is drawn as asked less often: {numbers}."
    if difference.low > 0:
        return f"Everything else is drawn as asked more often: {numbers}."
    return f"No loss on everything else that this sample could tell from chance: {numbers}."
