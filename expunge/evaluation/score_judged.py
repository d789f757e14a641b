"""All metrics of one run: the same prompts and seeds before and after, judged once, scored in every way."""

from collections.abc import Sequence
from typing import Protocol

from expunge.errors import ExpungeError
from expunge.evaluation.evaluation import Evaluation, TargetScores
from expunge.judges.judged import JudgedPictures, judge_pictures
from expunge.judges.panel import Panel
from expunge.metrics.alignment_score import alignment_score
from expunge.metrics.frechet_distance import feature_label, frechet_change
from expunge.metrics.numbers import Change
from expunge.metrics.retain_accuracy import (
    collateral,
    cross_domain_accuracy,
    in_domain_accuracy,
    retain_accuracy,
)
from expunge.metrics.unlearning_accuracy import accuracies_by_both
from expunge.pictures.picture_set import PictureSet
from expunge.prompts.target import Target
from expunge.prompts.world import Prompt, Side, World


class Asked(Protocol):
    """Pictures, judged or not, with the prompts and seeds they were drawn from."""

    @property
    def prompts(self) -> tuple[Prompt, ...]: ...

    @property
    def seeds(self) -> tuple[int, ...]: ...


def evaluate_pictures(
    targets: list[Target],
    world: World,
    panel: Panel,
    before: PictureSet,
    after: PictureSet,
    train_before: PictureSet,
    train_after: PictureSet,
    reference: PictureSet,
    sampling: dict[str, str | int | float],
    seed: int,
) -> Evaluation:
    """Judge pictures of an unlearned model and of the model it was, and score them as ``evaluate_judged`` does.

    Raises:
        ExpungeError: no target, or as in ``evaluate_judged``; before any judge has looked at a picture.
    """
    if not targets:
        raise ExpungeError("targets: none given; an evaluation needs at least one target.")
    _check(targets, panel, before, after, train_before, train_after, reference)
    eyes = Panel({}, panel.clip)  # no verdict is needed on train-level pictures, only features
    was, now = judge_pictures(before, panel), judge_pictures(after, panel)
    train_was, train_now = judge_pictures(train_before, eyes), judge_pictures(train_after, eyes)
    base = train_was if reference is train_before else judge_pictures(reference, eyes)
    return _score(targets, world, panel, was, now, train_was, train_now, base, sampling, seed)


def evaluate_judged(
    targets: Sequence[Target],
    world: World,
    panel: Panel,
    before: JudgedPictures,
    after: JudgedPictures,
    train_before: JudgedPictures,
    train_after: JudgedPictures,
    reference: JudgedPictures,
    sampling: dict[str, str | int | float],
    seed: int,
) -> Evaluation:
    """Score an unlearned model against the model it was, by what the panel said of their pictures.

    Args:
        targets: what was to be forgotten; with none, retention and quality alone are scored.
        before: of the model as it was, held-out wordings; some prompts ask for a target, some for none.
        after: of the unlearned model, same prompts and seeds.
        train_before: of the model as it was, train wordings, prompts that ask for no target.
        train_after: the same of the unlearned model, same prompts and seeds.
        reference: of the base model, train-level retain prompts: FD's yardstick.
        sampling: how the pictures were drawn, kept with the numbers.
        seed: of the bootstrap.

    Raises:
        ExpungeError: pictures that are no pairs, of the wrong side or missing for a target, a factor without
            a classifier, or features that are NaN; the message says which.
    """
    _check(targets, panel, before, after, train_before, train_after, reference)
    return _score(targets, world, panel, before, after, train_before, train_after, reference, sampling, seed)


def _score(
    targets: Sequence[Target],
    world: World,
    panel: Panel,
    before: JudgedPictures,
    after: JudgedPictures,
    train_was: JudgedPictures,
    train_now: JudgedPictures,
    base: JudgedPictures,
    sampling: dict[str, str | int | float],
    seed: int,
) -> Evaluation:
    factors = sorted({"subject", *(target.factor for target in targets)})
    was, now = (each.seen_by_clip(panel, world, factors) for each in (before, after))
    kept = [i for i, prompt in enumerate(before.prompts) if not _is_target(prompt, targets)]
    scores = tuple(_target_scores(target, was, now, kept) for target in targets)
    was, now = was.select(kept), now.select(kept)
    subject_was, subject_now = ({"subject": each.recognised_by_clip["subject"]} for each in (was, now))
    return Evaluation(
        targets=scores,
        rest=measured(
            retain_accuracy=retain_accuracy(was.prompts, was.recognised, now.recognised),
            in_domain=in_domain_accuracy(targets, was.prompts, was.recognised, now.recognised),
            cross_domain=cross_domain_accuracy(targets, was.prompts, was.recognised, now.recognised),
            retain_accuracy_clip=retain_accuracy(was.prompts, subject_was, subject_now, "retain accuracy by CLIP"),
            frechet_distance=frechet_change(was.features, now.features, base.features, was.texts, seed),
            alignment_train=alignment_score(
                train_was.features,
                train_now.features,
                panel.clip.text_features(train_was.texts),
                train_was.texts,
                seed,
                what="alignment score on train-level prompts",
            ),
            alignment_held_out=alignment_score(
                was.features,
                now.features,
                panel.clip.text_features(was.texts),
                was.texts,
                seed,
                what="alignment score on held-out-level prompts",
            ),
        ),
        frechet_features=feature_label(panel.clip.name, base.features.shape[1], min(len(kept), len(base))),
        collateral=collateral(was.prompts, was.recognised, now.recognised),
        sampling=sampling,
    )


def _target_scores(target: Target, was: JudgedPictures, now: JudgedPictures, kept: Sequence[int]) -> TargetScores:
    asked = [i for i, prompt in enumerate(was.prompts) if target.matches(prompt)]
    forgotten, drawn = was.select(asked), now.select(asked)
    retained, redrawn = was.select(kept), now.select(kept)
    by_classifier, by_clip = accuracies_by_both(target, forgotten, drawn)
    return TargetScores(
        request_id=target.request_id,
        name=target.name,
        kind=target.kind.value,
        numbers=measured(
            unlearning_accuracy=by_classifier,
            unlearning_accuracy_clip=by_clip,
            in_domain=in_domain_accuracy([target], retained.prompts, retained.recognised, redrawn.recognised),
            cross_domain=cross_domain_accuracy([target], retained.prompts, retained.recognised, redrawn.recognised),
        ),
    )


def measured(**changes: Change | None) -> dict[str, Change]:
    """The changes without those that could not be measured."""
    return {name: change for name, change in changes.items() if change is not None}


def _is_target(prompt: Prompt, targets: Sequence[Target]) -> bool:
    return any(target.matches(prompt) for target in targets)


def _check(
    targets: Sequence[Target],
    panel: Panel,
    before: Asked,
    after: Asked,
    train_before: Asked,
    train_after: Asked,
    reference: Asked,
) -> None:
    """Refuse, before any model runs, what could not be scored honestly."""
    for target in targets:
        if target.factor not in panel.classifiers:
            raise ExpungeError(
                f"target '{target.name}': no classifier for its factor '{target.factor}', only for "
                f"{', '.join(panel.classifiers) or 'nothing'}. Add one to the panel."
            )
        if not any(target.matches(prompt) for prompt in before.prompts):
            raise ExpungeError(f"target '{target.name}': no picture asks for it. Draw held-out prompts that do.")
    if not before.prompts:
        raise ExpungeError("before: no pictures given. Draw held-out prompts.")
    if all(_is_target(prompt, targets) for prompt in before.prompts):
        raise ExpungeError("before: every prompt asks for a target. Draw held-out retain prompts as well.")
    _pairs("before and after", before, after)
    _pairs("train_before and train_after", train_before, train_after)
    _side("before", before, "held_out")
    _side("train_before", train_before, "train")
    _side("reference", reference, "train")
    for name, pictures in (("train_before", train_before), ("reference", reference)):
        for prompt in pictures.prompts:
            if _is_target(prompt, targets):
                raise ExpungeError(f"{name}: '{prompt.text}' asks for a target; only retain prompts belong there.")


def _pairs(names: str, first: Asked, second: Asked) -> None:
    if first.prompts != second.prompts or first.seeds != second.seeds:
        raise ExpungeError(
            f"{names}: {len(first.prompts)} and {len(second.prompts)} pictures, not of the same prompts and seeds in "
            "order. Draw both with the same ones."
        )


def _side(name: str, pictures: Asked, side: Side) -> None:
    for prompt in pictures.prompts:
        if prompt.side != side:
            raise ExpungeError(f"{name}: '{prompt.text}' is a {prompt.side}-level prompt; {side} ones belong there.")
