"""All metrics of one run: the same prompts and seeds before and after, judged once, scored in every way."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from expunge.errors import ExpungeError
from expunge.evaluation import Evaluation, TargetScores
from expunge.metrics.alignment_score import alignment_score
from expunge.metrics.frechet_distance import feature_label, frechet_change
from expunge.metrics.panel import Panel
from expunge.metrics.retain_accuracy import (
    collateral,
    cross_domain_accuracy,
    in_domain_accuracy,
    retain_accuracy,
)
from expunge.metrics.unlearning_accuracy import unlearning_accuracy
from expunge.models.picture_set import PictureSet
from expunge.prompts.grid import Prompt, PromptGrid, Side
from expunge.prompts.target import Target


@dataclass(frozen=True)
class _Judged:
    """A picture set with what the panel said of it."""

    prompts: tuple[Prompt, ...]
    recognised: dict[str, list[str]]
    recognised_by_clip: dict[str, list[str]]
    features: np.ndarray

    @property
    def texts(self) -> list[str]:
        return [prompt.text for prompt in self.prompts]

    def select(self, indices: Sequence[int]) -> "_Judged":
        def chosen(found: Mapping[str, list[str]]) -> dict[str, list[str]]:
            return {factor: [levels[i] for i in indices] for factor, levels in found.items()}

        return _Judged(
            tuple(self.prompts[i] for i in indices),
            chosen(self.recognised),
            chosen(self.recognised_by_clip),
            self.features[np.asarray(indices, dtype=np.int64)],
        )


def evaluate_pictures(
    targets: list[Target],
    grid: PromptGrid,
    panel: Panel,
    before: PictureSet,
    after: PictureSet,
    train_before: PictureSet,
    train_after: PictureSet,
    reference: PictureSet,
    sampling: dict[str, str | int | float],
    seed: int,
) -> Evaluation:
    """Score an unlearned model against the model it was.

    Args:
        targets: what was to be forgotten.
        before: pictures of the model as it was, held-out wordings; some prompts ask for a target, some for
            none.
        after: pictures of the unlearned model, same prompts and seeds.
        train_before: pictures of the model as it was, train wordings, prompts that ask for no target.
        train_after: the same of the unlearned model, same prompts and seeds.
        reference: the base model's pictures of train-level retain prompts: FD's yardstick.
        sampling: how the pictures were drawn, kept with the numbers.
        seed: of the bootstrap.

    Raises:
        ExpungeError: pictures that are no pairs, of the wrong side or missing for a target, a factor without
            a classifier, or features that are NaN; the message says which.
    """
    _check(targets, panel, before, after, train_before, train_after, reference)
    factors = {"subject", *(target.factor for target in targets)}
    was, now = _judge(before, panel, grid, factors), _judge(after, panel, grid, factors)
    kept = [i for i, prompt in enumerate(before.prompts) if not _is_target(prompt, targets)]
    scores = tuple(_target_scores(target, was, now, kept) for target in targets)
    was, now = was.select(kept), now.select(kept)
    texts = panel.clip.text_features(was.texts)
    train_was, train_now = (panel.clip.picture_features(each.pictures) for each in (train_before, train_after))
    train_texts = [prompt.text for prompt in train_before.prompts]
    base = train_was if reference is train_before else panel.clip.picture_features(reference.pictures)
    subject_was, subject_now = ({"subject": each.recognised_by_clip["subject"]} for each in (was, now))
    return Evaluation(
        targets=scores,
        retain_accuracy=retain_accuracy(was.prompts, was.recognised, now.recognised),
        in_domain=in_domain_accuracy(targets, was.prompts, was.recognised, now.recognised),
        cross_domain=cross_domain_accuracy(targets, was.prompts, was.recognised, now.recognised),
        retain_accuracy_clip=retain_accuracy(was.prompts, subject_was, subject_now, "retain accuracy by CLIP"),
        frechet_distance=frechet_change(was.features, now.features, base, was.texts, seed),
        frechet_features=feature_label(panel.clip.name, base.shape[1], min(len(kept), len(base))),
        alignment_train=alignment_score(
            train_was,
            train_now,
            panel.clip.text_features(train_texts),
            train_texts,
            seed,
            what="alignment score on train-level prompts",
        ),
        alignment_held_out=alignment_score(
            was.features,
            now.features,
            texts,
            was.texts,
            seed,
            what="alignment score on held-out-level prompts",
        ),
        collateral=collateral(was.prompts, was.recognised, now.recognised),
        sampling=sampling,
    )


def _target_scores(target: Target, was: _Judged, now: _Judged, kept: Sequence[int]) -> TargetScores:
    asked = [i for i, prompt in enumerate(was.prompts) if target.matches(prompt)]
    forgotten, drawn = was.select(asked), now.select(asked)
    retained, redrawn = was.select(kept), now.select(kept)
    accuracies = (
        unlearning_accuracy(target, first[target.factor], second[target.factor], forgotten.texts)
        for first, second in (
            (forgotten.recognised, drawn.recognised),
            (forgotten.recognised_by_clip, drawn.recognised_by_clip),
        )
    )
    return TargetScores(
        request_id=target.request_id,
        name=target.name,
        kind=target.kind.value,
        unlearning_accuracy=next(accuracies),
        unlearning_accuracy_clip=next(accuracies),
        in_domain=in_domain_accuracy([target], retained.prompts, retained.recognised, redrawn.recognised),
        cross_domain=cross_domain_accuracy([target], retained.prompts, retained.recognised, redrawn.recognised),
    )


def _judge(pictures: PictureSet, panel: Panel, grid: PromptGrid, factors: set[str]) -> _Judged:
    features = panel.clip.picture_features(pictures.pictures)
    return _Judged(
        pictures.prompts,
        panel.recognise(pictures.pictures),
        {factor: panel.nearest_levels(features, factor, grid) for factor in sorted(factors)},
        features,
    )


def _is_target(prompt: Prompt, targets: Sequence[Target]) -> bool:
    return any(target.matches(prompt) for target in targets)


def _check(
    targets: Sequence[Target],
    panel: Panel,
    before: PictureSet,
    after: PictureSet,
    train_before: PictureSet,
    train_after: PictureSet,
    reference: PictureSet,
) -> None:
    """Refuse, before any model runs, what could not be scored honestly."""
    if not targets:
        raise ExpungeError("targets: none given; an evaluation needs at least one target.")
    for target in targets:
        if target.factor not in panel.classifiers:
            raise ExpungeError(
                f"target '{target.name}': no classifier for its factor '{target.factor}', only for "
                f"{', '.join(panel.classifiers) or 'nothing'}. Add one to the panel."
            )
        if not any(target.matches(prompt) for prompt in before.prompts):
            raise ExpungeError(f"target '{target.name}': no picture asks for it. Draw held-out prompts that do.")
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


def _pairs(names: str, first: PictureSet, second: PictureSet) -> None:
    if first.prompts != second.prompts or first.seeds != second.seeds:
        raise ExpungeError(
            f"{names}: {len(first)} and {len(second)} pictures, not of the same prompts and seeds in order. "
            "Draw both with the same ones."
        )


def _side(name: str, pictures: PictureSet, side: Side) -> None:
    for prompt in pictures.prompts:
        if prompt.side != side:
            raise ExpungeError(f"{name}: '{prompt.text}' is a {prompt.side}-level prompt; {side} ones belong there.")
