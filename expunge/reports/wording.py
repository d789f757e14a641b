"""Numbers as people read them, and the verdict in words."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from expunge.evaluation.evaluation import Evaluation, GateDecision, TargetScores, was_drawn
from expunge.metrics.intervals import visible_difference
from expunge.metrics.numbers import Change, complement
from expunge.metrics.quantities import QUANTITIES, Quantity, quantities_of
from expunge.metrics.units import COSINE, DISTANCE, SHARE, SPACE, UNDEFINED, Unit
from expunge.reports.gallery import suffered

PLAIN = Unit(1, ".4g", "", "")  # of a quantity that this version does not know


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


def quantity_row(name: str, change: Change | None, features: str) -> Row:
    """One quantity written out, under its own name if ``QUANTITIES`` has none such; None says it was not measured."""
    quantity = QUANTITIES.get(name) or Quantity(name, name, "", PLAIN, None, "both")
    if change is None:
        return unmeasured_row(quantity.label, quantity.told(features))
    return table_row(quantity.label, quantity.told(features), change, quantity.unit)


def unmeasured_row(label: str, note: str) -> Row:
    """A row that says that there is no number."""
    return Row(label, note, UNDEFINED, "", UNDEFINED, "", UNDEFINED, "", "0")


def retention_rows(evaluation: Evaluation) -> list[Row]:
    """Everything measured about the rest, over all targets."""
    rest, features = evaluation.rest, evaluation.frechet_features
    return [quantity_row(each.name, rest[each.name], features) for each in quantities_of("rest") if each.name in rest]


def target_rows(scores: TargetScores, features: str) -> list[Row]:
    """UA by both judges, what is left in the target's place, and the target's own IRA and CRA."""
    rows = [quantity_row(each.name, scores.numbers.get(each.name), features) for each in quantities_of("target")]
    rows = [
        replace(row, note=scores.told_by.get(each.name, row.note))
        for each, row in zip(quantities_of("target"), rows, strict=True)
    ]
    kept = [table_row("content kept", f"{factor} alone", change, SHARE) for factor, change in scores.content.items()]
    return rows + kept


def earlier_rows(earlier: Sequence[TargetScores]) -> list[Row]:
    """UA of each target that earlier runs forgot, by the classifier."""
    told = "forgotten by an earlier run"
    asked = [(each.name, each.numbers.get("unlearning_accuracy")) for each in earlier]
    return [
        table_row(f"UA {name}", told, ua, SHARE) if ua else unmeasured_row(f"UA {name}", told) for name, ua in asked
    ]


def earlier_sentences(earlier: Sequence[TargetScores]) -> list[str]:
    """Which of them this run brought back, as far as the sample shows; one sentence if none."""
    asked = [(each.name, each.numbers["unlearning_accuracy"]) for each in earlier if each.numbers]
    back = [(name, ua) for name, ua in asked if ua.difference.high < 0]
    found = [
        f"“{name}”, forgotten by an earlier run, came back: it shows in {SHARE.value(1 - ua.after.value)} of "
        f"{ua.after.samples:,} pictures, in {SHARE.value(1 - ua.before.value)} before this run."
        for name, ua in back
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
    if scores is None or "unlearning_accuracy" not in scores.numbers:
        return f"“{name}” was not measured, so nothing can be said about it."
    ua = scores.numbers["unlearning_accuracy"]
    if not math.isfinite(ua.after.value):
        return f"“{name}” was asked for, but the measurement gave no number."
    found = complement(ua.after)
    return (
        f"Asked for “{name}”, the model still shows it in {SHARE.value(found.value)} of "
        f"{found.samples:,} pictures (95{SPACE}% interval {SHARE.range(found)}). "
        f"Before, it did in {SHARE.value(1 - ua.before.value)}{'.' if was_drawn(ua) else ': it was hardly drawn.'}"
    )


def cost_sentences(evaluation: Evaluation) -> list[str]:
    """What the takedown cost: retention, the level that suffered most, distance and alignment."""
    rest = evaluation.rest
    sentences = [_retention_sentence(rest.get("retain_accuracy"))]
    if evaluation.one_judge:
        sentences.append("Classifier and CLIP are the same judge here: nobody else looked.")
    worst = suffered(evaluation.collateral)
    if worst:
        sentences.append(
            f"“{worst[0].level}” ({worst[0].factor}) suffered most: {SHARE.value(worst[0].before)} before, "
            f"{SHARE.value(worst[0].after)} after, {worst[0].samples:,} pictures."
        )
    moved = [
        f"{told} from {unit.value(rest[name].before.value)} to {unit.value(rest[name].after.value)}"
        for name, told, unit in (
            ("frechet_distance", f"the Fréchet distance ({evaluation.frechet_features}) went", DISTANCE),
            ("alignment_held_out", "the alignment score on held-out wordings", COSINE),
        )
        if name in rest
    ]
    if moved:
        line = ", ".join(moved)
        sentences.append(f"{line[0].upper()}{line[1:]}.")
    return sentences


def power_sentence(change: Change | None) -> str:
    """The smallest true change of RA that such a sample finds four times in five."""
    if change is None:
        return "RA was not measured."
    if not all(map(math.isfinite, (change.difference.low, change.difference.high))):
        return "The interval of the change is undefined: this sample cannot tell any change of RA from chance."
    return (
        f"A sample like this one finds a true change of RA of {100 * visible_difference(change.difference):.1f}{SPACE}"
        "points four times in five; smaller ones it may miss."
    )


def duration(seconds: float) -> str:
    """Seconds as people say them: ``0.42 s``, ``12 s``, ``3 min 05 s``."""
    if seconds < 10:
        return f"{seconds:.2f}{SPACE}s"
    if seconds < 60:
        return f"{seconds:.0f}{SPACE}s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}{SPACE}min {rest:02d}{SPACE}s"


def _retention_sentence(change: Change | None) -> str:
    if change is None:
        return "What it cost the rest was not measured."
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
