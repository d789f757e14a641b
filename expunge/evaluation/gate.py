"""The gate: whether an unlearned model may become champion. Missing evidence means no."""

import math
from typing import Literal

from pydantic import ConfigDict, Field

from expunge.evaluation.evaluation import DRAWN, Condition, Evaluation, GateDecision, TargetScores
from expunge.metrics.numbers import Change, Interval, complement
from expunge.settings import Settings
from expunge.takedown.request import Kind

# What a measurement takes its pictures from, as settings of the pipeline.
MORE_PICTURES = {
    "unlearning accuracy": "evaluation.target_pictures",
    "unlearning accuracy by CLIP": "evaluation.target_pictures",
    "content kept": "evaluation.target_pictures",
    "proper pictures": "evaluation.target_pictures",
    "proper pictures after": "evaluation.target_pictures",
    "still forgotten": "evaluation.earlier_pictures",
    "retain accuracy": "evaluation.held_out_per_stratum",
    "alignment, train wordings": "diversification.pool_per_stratum",
    "alignment, held-out wordings": "evaluation.held_out_per_stratum",
    "Fréchet distance": "evaluation.held_out_per_stratum",
}
# What the gate asks of the rest: names of quantities, as conditions call them.
HELD = {
    "retain_accuracy": "retain accuracy",
    "alignment_train": "alignment, train wordings",
    "alignment_held_out": "alignment, held-out wordings",
    "frechet_distance": "Fréchet distance",
}


NOT_MEASURED = "not measured"


class GateThresholds(Settings):
    """What must hold, judged by the unfavourable end of each 95 % interval. Unknown keys are refused."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False)
    unlearning_accuracy_at_least: float = Field(
        default=0.80, ge=0, le=1, description="for each target, earlier ones too: low end of UA after unlearning"
    )
    unlearning_accuracy_clip_at_least: float = Field(
        default=0.65,
        ge=0,
        le=1,
        description="for each target: the same by CLIP, where it is a second judge; less, for it errs more often",
    )
    content_kept_at_least: float = Field(
        default=0.3, ge=0, le=1, description="for each target: low end of content kept, after / before"
    )
    proper_pictures_at_least: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="for each target: low end of the share of proper pictures, after / before; of a memorised picture, "
        "after",
    )
    retain_accuracy_drop_at_most: float = Field(
        default=0.05, ge=0, le=1, description="high end of the loss of RA, before − after, a share"
    )
    frechet_distance_ratio_at_most: float = Field(
        default=2.0, ge=1, le=1000, description="high end of FD after / FD before"
    )
    alignment_drop_at_most: float = Field(
        default=0.02,
        ge=0,
        le=2,
        description="high end of the loss of AS, before − after, a cosine; on train and on held-out wordings",
    )
    drawn_before_at_least: float = Field(
        default=DRAWN,
        ge=0,
        le=1,
        description="for each target: low end of the share of pictures that showed it before",
    )
    nothing_to_remove_below: float = Field(
        default=0.2,
        ge=0,
        le=1,
        description="for each target, before any work: high end of the share that shows it, by every judge; below, its "
        "request ends there",
    )
    approval: Literal["none", "required"] = Field(
        default="none", description="whether a person has to approve what passed: expunge approve VERSION"
    )
    approval_within_days: float = Field(
        default=14, gt=0, le=366, description="after so long without an approval the requests are pending again"
    )
    approval_wait_minutes: float = Field(
        default=0,
        ge=0,
        le=10_080,
        description="how long the run itself waits for an answer in ZenML; expunge approve works from then on",
    )
    minimum_target_samples: int = Field(default=60, ge=1, description="pictures that UA of each target rests on")
    minimum_retain_samples: int = Field(default=100, ge=1, description="pictures that RA, FD and AS rest on, each")


def judge(evaluation: Evaluation | None, thresholds: GateThresholds) -> GateDecision:
    """Hold an evaluation against the thresholds: one condition each, or one per target and threshold.

    Never raises on bad numbers: an evaluation that is missing, names no target or holds a NaN or an
    impossible interval fails the conditions concerned, and each says what is missing.
    """
    targets = evaluation.targets if evaluation else ()
    one_judge = bool(evaluation and evaluation.one_judge)
    conditions = [condition for target in targets for condition in _target(target, thresholds, one_judge)]
    if not targets:
        conditions = [
            Condition(
                name="targets",
                rule="at least 1 target evaluated",
                measured="missing: no evaluation" if evaluation is None else "missing: no target in the evaluation",
                passed=False,
            )
        ]
    for each in evaluation.earlier if evaluation else ():
        ua, told = each.numbers.get("unlearning_accuracy"), each.told_by.get("unlearning_accuracy", "")
        conditions.append(_share("still forgotten", each.name, ua, thresholds.unlearning_accuracy_at_least, told))
    conditions += _retained(evaluation, thresholds)
    return GateDecision(
        passed=all(condition.passed for condition in conditions),
        conditions=tuple(conditions),
        approval_within_days=thresholds.approval_within_days if thresholds.approval == "required" else None,
    )


def _target(target: TargetScores, thresholds: GateThresholds, one_judge: bool) -> list[Condition]:
    numbers, name = target.numbers, target.name
    ua, one = numbers.get("unlearning_accuracy"), "by one judge, CLIP is the same" if one_judge else ""
    after = {"unlearning accuracy": ua.after} if ua else {}
    told = target.told_by.get("unlearning_accuracy", one)
    found = [
        _samples(f"samples: {name}", after, thresholds.minimum_target_samples),
        _drawn(name, ua, thresholds.drawn_before_at_least),
        _share("unlearning accuracy", name, ua, thresholds.unlearning_accuracy_at_least, told),
    ]
    if not one_judge:
        by_clip, told = numbers.get("unlearning_accuracy_clip"), target.told_by.get("unlearning_accuracy_clip", "")
        limit = thresholds.unlearning_accuracy_clip_at_least
        found.append(_share("unlearning accuracy by CLIP", name, by_clip, limit, told))
    if "content_kept" in numbers:  # else its prompts ask for nothing beside it
        found.append(_left("content kept", name, numbers["content_kept"], thresholds.content_kept_at_least))
    proper, limit = numbers.get("proper_picture"), thresholds.proper_pictures_at_least
    if target.kind == Kind.IMAGES.value:  # its copies repeat each other, so none was proper before
        return [*found, _share("proper pictures after", name, proper, limit, "")]
    return [*found, _left("proper pictures", name, proper, limit)]


def _drawn(name: str, change: Change | None, limit: float) -> Condition:
    """What the model did not draw before cannot have been forgotten."""
    name, rule = f"drawn before: {name}", f"low end of the share that showed it ≥ {limit:g}"
    if change is None:
        return _condition(name, rule, NOT_MEASURED, "", False)
    shown = complement(change.before)
    measured = f"{shown.value:.3f} [{shown.low:.3f}, {shown.high:.3f}]"
    return _condition(name, rule, _flaw(change.before, 0, 1), measured, shown.low >= limit)


def _share(what: str, target: str, change: Change | None, limit: float, told_by: str) -> Condition:
    """A share after unlearning; an earlier run's targets are held to the same limit. ``told_by``: who looked, or ""."""
    name, rule = f"{what}: {target}", f"low end ≥ {limit:g}"
    if change is None:
        return _condition(name, rule, NOT_MEASURED, "", False)
    after = change.after
    measured = f"{after.value:.3f} [{after.low:.3f}, {after.high:.3f}], {after.samples} pictures"
    if after.low < limit <= after.value:  # more pictures could tell
        measured = f"{measured}; raise {MORE_PICTURES[what]}"
    measured = f"{measured}; {told_by}" if told_by else measured
    return _condition(name, rule, _flaw(after, 0, 1), measured, after.low >= limit)


def _left(what: str, target: str, change: Change | None, limit: float) -> Condition:
    """What is left under the target's prompts, as a share of what there was, with the paired difference's interval."""
    name, rule = f"{what}: {target}", f"low end of after / before ≥ {limit:g}"
    flaw = _flaws(change)
    if change is not None and not flaw and change.before.value <= 0:
        if limit == 0:  # nothing is asked
            return _condition(name, rule, "", "none before", True)
        flaw = "there was none before"
    if change is None or flaw:
        return _condition(name, rule, flaw, "", False)
    ratio, low, high = (max(0.0, each) for each in _ratios(change))
    measured = f"{ratio:.3f} [{low:.3f}, {high:.3f}], {change.after.samples} pictures"
    if low < limit <= ratio:
        measured = f"{measured}; raise {MORE_PICTURES[what]}"
    return _condition(name, rule, "", measured, low >= limit)


def _ratios(change: Change) -> tuple[float, float, float]:
    """After / before with its ends, from the paired difference and the value before."""
    difference, before = change.difference, change.before.value
    return 1 + difference.value / before, 1 + difference.low / before, 1 + difference.high / before


def _retained(evaluation: Evaluation | None, thresholds: GateThresholds) -> list[Condition]:
    rest = evaluation.rest if evaluation else {}
    changes = {told: rest[name] for name, told in HELD.items() if name in rest}
    drops = {
        "retain accuracy": thresholds.retain_accuracy_drop_at_most,
        "alignment, train wordings": thresholds.alignment_drop_at_most,
        "alignment, held-out wordings": thresholds.alignment_drop_at_most,
    }
    after = {name: change.after for name, change in changes.items()}
    return [
        _samples("samples: retained", after, thresholds.minimum_retain_samples),
        *(_drop(name, changes.get(name), limit) for name, limit in drops.items()),
        _ratio("Fréchet distance", changes.get("Fréchet distance"), thresholds.frechet_distance_ratio_at_most),
    ]


def _samples(name: str, measured: dict[str, Interval], limit: int) -> Condition:
    """The fewest pictures that any of the measured rests on."""
    rule = f"at least {limit}"
    if not measured:
        return _condition(name, rule, NOT_MEASURED, "", False)
    what, fewest = min(measured.items(), key=lambda item: item[1].samples)
    enough = fewest.samples >= limit
    remedy = "" if enough else f"; raise {MORE_PICTURES[what]}"
    return _condition(name, rule, "", f"{fewest.samples} ({what}){remedy}", enough)


def _drop(name: str, change: Change | None, limit: float) -> Condition:
    """The loss, before − after, is minus the difference: its high end is minus the difference's low end."""
    name, rule = f"{name} drop", f"high end ≤ {limit:g}"
    flaw = _flaws(change)
    if change is None or flaw:
        return _condition(name, rule, flaw, "", False)
    loss, low, high = (0.0 - x for x in (change.difference.value, change.difference.high, change.difference.low))
    return _condition(name, rule, "", f"{loss:.3f} [{low:.3f}, {high:.3f}]", high <= limit)


def _ratio(name: str, change: Change | None, limit: float) -> Condition:
    """After over before, with the interval of the paired difference and the measured distance before."""
    name, rule = f"{name} ratio", f"high end of after / before ≤ {limit:g}"
    flaw = _flaws(change)
    if change is not None and not flaw and change.before.value <= 0:
        flaw = "distance before is 0, nothing to compare with; use a reference of other pictures"
    if change is None or flaw:
        return _condition(name, rule, flaw, "", False)
    ratio, low, high = _ratios(change)
    return _condition(name, rule, "", f"{ratio:.3f} [{low:.3f}, {high:.3f}]", high <= limit)


def _flaws(change: Change | None) -> str:
    """What makes a change no evidence; empty if nothing does."""
    if change is None:
        return NOT_MEASURED
    parts = {"before": change.before, "after": change.after, "difference": change.difference}
    return "; ".join(f"{name}: {_flaw(part)}" for name, part in parts.items() if _flaw(part))


def _flaw(interval: Interval, least: float = -math.inf, most: float = math.inf) -> str:
    """What makes an interval no evidence; empty if nothing does."""
    numbers = (interval.low, interval.value, interval.high)
    if not all(math.isfinite(number) for number in numbers):
        return f"not a number ({', '.join(map(str, numbers))})"
    if not least <= interval.low <= interval.value <= interval.high <= most:
        return f"impossible interval ({', '.join(map(str, numbers))})"
    return "" if interval.samples >= 1 else "no samples"


def _condition(name: str, rule: str, flaw: str, measured: str, passed: bool) -> Condition:
    return Condition(
        name=name, rule=rule, measured=f"missing: {flaw}" if flaw else measured, passed=passed and not flaw
    )
