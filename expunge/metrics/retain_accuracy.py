"""Retain accuracy (RA): is the rest still drawn as asked? Over all, in-domain, cross-domain and by level.

Source: Zhang et al., *UnlearnCanvas*, 2024, arXiv 2402.11846, section 4. A domain there is a factor here.
When a style is unlearned, in-domain (IRA) is the style accuracy of prompts that ask for other styles,
cross-domain (CRA) the object accuracy; when an object is unlearned, it is the other way round. Both are read
off the same pictures.

Differs from the paper: only retain prompts count. A cat in a forgotten style is a forget prompt, and what
becomes of the cat is not judged. Semantic groups (the dog beside the forgotten cat) play no part in IRA; see
``collateral``.

``recognised`` is always a dict from factor to the n levels that its classifier found.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from pydantic import BaseModel, ConfigDict

from expunge.errors import ExpungeError
from expunge.metrics.intervals import change_of_proportions
from expunge.metrics.numbers import Change
from expunge.metrics.sample import Sample
from expunge.prompts.world import Prompt

Recognised = Mapping[str, Sequence[str]]


class CollateralRow(BaseModel):
    """Retain accuracy of one level of a factor, for the ranked table of what suffered."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    factor: str
    level: str
    before: float
    after: float
    samples: int


def as_asked(prompts: Sequence[Prompt], recognised: Recognised, factors: Sequence[str]) -> np.ndarray:
    """(n,) bool: whether all of ``factors`` that a prompt has were recognised as it asks.

    Raises:
        ExpungeError: a prompt has none of the factors, so that nothing about its picture was judged.
    """
    asked = [[factor for factor in factors if factor in prompt.factors] for prompt in prompts]
    for prompt, names in zip(prompts, asked, strict=True):
        if not names:
            raise ExpungeError(
                f"retain accuracy: nothing in '{prompt.text}' ({', '.join(prompt.factors)}) can be judged by "
                f"classifiers of {', '.join(factors) or 'no factor'}. Add a classifier of one of those."
            )
    right = [
        all(recognised[name][i] == prompt.factors[name] for name in names)
        for i, (prompt, names) in enumerate(zip(prompts, asked, strict=True))
    ]
    return np.array(right, dtype=bool)


def retain_accuracy(
    prompts: Sequence[Prompt], before: Recognised, after: Recognised, what: str = "retain accuracy"
) -> Change:
    """RA: share of retain pictures in which every factor that has a classifier is recognised as asked, 0–1.

    Raises:
        ExpungeError: no retain prompts, or one about which nothing can be judged.
    """
    factors = list(before)
    return change_of_proportions(
        as_asked(prompts, before, factors),
        as_asked(prompts, after, factors),
        [p.text for p in prompts],
        what=what,
    )


def by_classifiers(sample: Sample) -> Change:
    """RA over the rest."""
    return retain_accuracy(sample.rest.prompts, sample.rest.was.recognised, sample.rest.now.recognised)


def by_clip(sample: Sample) -> Change | None:
    """RA by CLIP on the first factor of the panel alone, which is the subject where there are subjects; None where CLIP
    is the classifier and so no second judge."""
    if sample.panel.one_judge:
        return None
    judged = sample.rest.was.recognised
    factor = "subject" if "subject" in judged else next(iter(judged))
    was, now = ({factor: each.recognised_by_clip[factor]} for each in (sample.rest.was, sample.rest.now))
    return retain_accuracy(sample.rest.prompts, was, now, "retain accuracy by CLIP")


def in_domain(sample: Sample) -> Change | None:
    """IRA: accuracy on the targets' own factors, pooled. None if no retain prompt has them."""
    return _pooled(sample, own=True, what="in-domain retain accuracy")


def cross_domain(sample: Sample) -> Change | None:
    """CRA: accuracy on the factors that are not the target's, pooled. None if no retain prompt has another.

    With targets of several factors in one run, pooled IRA and CRA run over the same factors and tend to one
    number: read them target by target.
    """
    return _pooled(sample, own=False, what="cross-domain retain accuracy")


def collateral(prompts: Sequence[Prompt], before: Recognised, after: Recognised) -> tuple[CollateralRow, ...]:
    """RA by level of every factor in the prompts, worst loss first, then by factor and level."""
    factors = list(before)
    right_before, right_after = as_asked(prompts, before, factors), as_asked(prompts, after, factors)
    members: dict[tuple[str, str], list[int]] = {}
    for i, prompt in enumerate(prompts):
        for pair in prompt.factors.items():
            members.setdefault(pair, []).append(i)
    rows = [
        CollateralRow(
            factor=factor,
            level=level,
            before=float(right_before[of].mean()),
            after=float(right_after[of].mean()),
            samples=len(of),
        )
        for (factor, level), of in members.items()
    ]
    return tuple(sorted(rows, key=lambda row: (row.after - row.before, row.factor, row.level)))


def _pooled(sample: Sample, own: bool, what: str) -> Change | None:
    """Over each kind of target: its own factor, or the others, as far as they have a classifier."""
    was, now = sample.rest.was.recognised, sample.rest.now.recognised
    kinds = sorted({target.factor for target in sample.targets})
    first, second, clusters = [], [], []
    for factor in [factor for kind in kinds for factor in was if (factor == kind) is own]:
        for i, prompt in enumerate(sample.rest.prompts):
            if factor in prompt.factors:
                first.append(was[factor][i] == prompt.factors[factor])
                second.append(now[factor][i] == prompt.factors[factor])
                clusters.append(prompt.text)
    return change_of_proportions(first, second, clusters, what=what) if first else None
