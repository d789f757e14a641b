"""Whether what a certificate says of the gate follows from its own numbers."""

import math
import re
from collections.abc import Callable

from expunge.errors import ExpungeError
from expunge.evaluation.evaluation import Condition
from expunge.metrics.numbers import Change
from expunge.release.certificate import Certificate
from expunge.takedown.life_cycle import Outcome

Ends = tuple[float, float, float]  # value, low, high


def _after(change: Change) -> Ends:
    return change.after.value, change.after.low, change.after.high


def _shown_before(change: Change) -> Ends:
    return 1 - change.before.value, 1 - change.before.high, 1 - change.before.low


def _loss(change: Change) -> Ends:
    return -change.difference.value, -change.difference.high, -change.difference.low


def _ratio(change: Change) -> Ends:
    """After / before; infinite where there was nothing before."""
    before, gone = change.before.value, change.difference
    if before <= 0:
        return math.inf, math.inf, math.inf
    return 1 + gone.value / before, 1 + gone.low / before, 1 + gone.high / before


def _share(change: Change) -> Ends:
    value, low, high = _ratio(change)
    return max(0.0, value), max(0.0, low), max(0.0, high)


# What the gate reads, by a condition's name; one that ends in a colon goes on with the target's.
JUDGED: dict[str, tuple[str, Callable[[Change], Ends]]] = {
    "drawn before: ": ("unlearning_accuracy", _shown_before),
    "unlearning accuracy: ": ("unlearning_accuracy", _after),
    "unlearning accuracy by CLIP: ": ("unlearning_accuracy_clip", _after),
    "content kept: ": ("content_kept", _share),
    "proper pictures: ": ("proper_picture", _share),
    "proper pictures after: ": ("proper_picture", _after),
    "retain accuracy drop": ("retain_accuracy", _loss),
    "alignment, train wordings drop": ("alignment_train", _loss),
    "alignment, held-out wordings drop": ("alignment_held_out", _loss),
    "Fréchet distance ratio": ("frechet_distance", _ratio),
}
ROUNDED = 0.0006  # conditions are written to three digits behind the point
_NUMBER = r"(-?[0-9.]+|inf)"
_MEASURED = re.compile(rf"{_NUMBER} \[{_NUMBER}, {_NUMBER}\]")
_LIMIT = re.compile(r"([≥≤]) ([0-9.eE+-]+)$")


def check_agreement(certificate: Certificate) -> int:
    """Check that outcome, conditions and numbers agree: each condition is judged anew from the numbers.

    Conditions of a run's other targets rest on numbers that other certificates hold. Which target is this request's
    own is not in the certificate: of conditions that differ by target alone, one has to follow from its numbers.

    Returns:
        How many conditions were judged anew.

    Raises:
        ExpungeError: they do not agree; the message names the condition, or the outcome.
    """
    passed = bool(certificate.conditions) and all(each.passed for each in certificate.conditions)
    if passed != (certificate.outcome is Outcome.FULFILLED):
        raise ExpungeError(f"outcome: {certificate.outcome.value}, but the conditions of the gate say otherwise")
    judged = 0
    for name, (quantity, ends_of) in JUDGED.items():
        named = [each for each in certificate.conditions if _is_called(each, name)]
        change = certificate.numbers.get(quantity)
        if not named:
            continue
        if change is None:
            if all(each.passed for each in named):
                raise ExpungeError(f"{named[0].name}: passed, but the certificate has no number {quantity}")
            continue
        wrong = [said for each in named if (said := _disagreement(each, ends_of(change)))]
        if len(wrong) == len(named):
            raise ExpungeError(f"{wrong[0]} (by the number {quantity})")
        judged += 1
    return judged


def _is_called(condition: Condition, name: str) -> bool:
    return condition.name.startswith(name) if name.endswith(": ") else condition.name == name


def _disagreement(condition: Condition, ends: Ends) -> str:
    """What of a condition does not follow from the numbers; empty if all does."""
    limit = _LIMIT.search(condition.rule)
    if limit is None:
        return f"{condition.name}: no limit can be read from its rule"
    if not condition.passed and condition.measured.startswith("missing: "):
        return ""  # numbers that the gate does not take for evidence
    value, low, high = ends
    if "end" not in condition.rule.split():  # as rules of earlier gates were written
        low = high = value
    holds = low >= float(limit[2]) if limit[1] == "≥" else high <= float(limit[2])
    if condition.passed != holds:
        return f"{condition.name}: {'passed' if condition.passed else 'not passed'}, which does not follow"
    written = _MEASURED.match(condition.measured)
    if written and not all(
        told == number or abs(told - number) <= ROUNDED  # the first for infinities
        for told, number in zip(map(float, written.groups()), ends, strict=True)
    ):
        return f"{condition.name}: {written[0]} is not what was measured"
    return ""
