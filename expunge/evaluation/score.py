"""From judged shards to numbers: the evaluation, UA by wording group, warnings, and one row per picture."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import pandas as pd

from expunge.errors import ExpungeError
from expunge.evaluation.plan import COMPOSITION_PART, TARGET_PART, WORLD_PARTS, Shard, composition_part, label
from expunge.evaluation.profile import EvaluationProfile
from expunge.evaluation.quality import LEAST_PAIRS, LEAST_REFERENCE, QualityScores, quality_of_features
from expunge.evaluation.result import CompositionScores, EvaluationResult, WordingScores
from expunge.evaluation.score_judged import evaluate_judged
from expunge.judges.judged import JudgedPictures, join
from expunge.judges.panel import Panel
from expunge.metrics.alignment_score import alignment_score, cosines
from expunge.metrics.paired_drift import PairedDrift, mean_drift, paired_drift
from expunge.metrics.retain_accuracy import as_asked
from expunge.metrics.unlearning_accuracy import accuracies_by_both
from expunge.models.model_facts import ModelFacts
from expunge.prompts.compositions import COMPOSITIONS
from expunge.prompts.target import Target
from expunge.prompts.variants import WORDINGS
from expunge.prompts.world import World


@dataclass(frozen=True)
class Question:
    """What an evaluation is about, by the names that people gave.

    Attributes:
        model: what is measured.
        against: what it is measured against.
        targets: what should have been forgotten; may be none.
        world: name of the world.
        judges: name of the panel.
        profile: sample sizes and seeds.
    """

    model: ModelFacts
    against: ModelFacts
    targets: tuple[Target, ...]
    world: str
    judges: str
    profile: EvaluationProfile


@dataclass(frozen=True)
class Scores:
    """Numbers, and the pictures they rest on, in the order of the plan.

    Attributes:
        result: the numbers.
        pictures: one row per pair of pictures: part, the target it asks for or is near to, prompt, seed, and what the
            judges said before and after.
    """

    result: EvaluationResult
    pictures: pd.DataFrame


def score(
    question: Question,
    shards: Sequence[Shard],
    before: Sequence[JudgedPictures],
    after: Sequence[JudgedPictures],
    world: World,
    panel: Panel,
) -> Scores:
    """Score a model against another by what the panel said of their pictures, shard by shard.

    Args:
        question: what the evaluation is about.
        shards: the plan.
        before: of the model measured against, one entry per shard.
        after: of the model measured.

    Raises:
        ExpungeError: shards and judged pictures do not belong together, or as in ``evaluate_judged``.
    """
    _check(shards, before, after)
    targets, profile = question.targets, question.profile
    parts = [(shard.part, shard.target) for shard in shards for _ in shard.prompts]
    factors = sorted({"subject", *(target.factor for target in targets)})
    was, now = (join(each).seen_by_clip(panel, world, factors) for each in (before, after))

    def those(keep: Callable[[str, str], bool]) -> tuple[JudgedPictures, JudgedPictures]:
        chosen = [i for i, each in enumerate(parts) if keep(*each)]
        return was.select(chosen), now.select(chosen)

    held_out = those(lambda part, target: part in (WORLD_PARTS[0], TARGET_PART))
    train = those(lambda part, target: part == WORLD_PARTS[1])
    kept = [i for i, prompt in enumerate(train[0].prompts) if not any(each.matches(prompt) for each in targets)]
    train_was, train_now = (each.select(kept) for each in train)
    spared = [i for i, prompt in enumerate(held_out[0].prompts) if not any(each.matches(prompt) for each in targets)]
    sampling = {"sampler": question.model.sampler, **profile.drawing.model_dump(), "seed": profile.seed}
    evaluation = evaluate_judged(
        targets, world, panel, *held_out, train_was, train_now, train_was, sampling, profile.seed
    )
    wordings = []
    for target, group in product(targets, WORDINGS if profile.wording_pictures else ()):
        wanted = (group, label(target))
        wordings.append(_wording_scores(target, group, *those(lambda *each, wanted=wanted: each == wanted)))
    single = evaluation.rest["alignment_held_out"].before.value
    compositions = []
    for target, group in product(targets, COMPOSITIONS if profile.composition_pictures else ()):
        wanted = (composition_part(group), label(target))
        scene_was, scene_now = those(lambda *each, wanted=wanted: each == wanted)
        compositions.append(_composition_scores(target, group, scene_was, scene_now, panel, single, profile.seed))
    result = EvaluationResult(
        model=question.model,
        against=question.against,
        targets=targets,
        evaluation=evaluation,
        quality=_quality(held_out[0].select(spared), held_out[1].select(spared), train_was, panel, profile.seed),
        wordings=tuple(wordings),
        compositions=tuple(compositions),
        warnings=tuple(_warnings(question, evaluation.frechet_features, was, now)),
        world=question.world,
        judges=question.judges,
        profile=profile,
        prompts_digest=_prompts_digest(shards),
    )
    return Scores(result, _table(parts, was, now, panel))


def _wording_scores(target: Target, group: str, was: JudgedPictures, now: JudgedPictures) -> WordingScores:
    by_classifier, by_clip = accuracies_by_both(target, was, now) if len(was) else (None, None)
    return WordingScores(
        target=label(target),
        group=group,
        example=was.texts[0] if len(was) else "",
        unlearning_accuracy=by_classifier,
        unlearning_accuracy_clip=by_clip,
    )


def _quality(
    was: JudgedPictures, now: JudgedPictures, reference: JudgedPictures, panel: Panel, seed: int
) -> QualityScores | None:
    if len(was) < LEAST_PAIRS or len(reference) < LEAST_REFERENCE:
        return None
    moved = paired_drift(was.thumbnails, now.thumbnails, was.features, now.features)
    moved = replace(moved, structure_name=_structure_name(moved, was))
    return quality_of_features(
        was.features, now.features, reference.features, moved, panel.clip.name, True, was.texts, seed
    )


def _structure_name(moved: PairedDrift, pictures: JudgedPictures) -> str:
    return f"{moved.structure_name}, at {pictures.thumbnails.shape[1]} pixels"


def _composition_scores(
    target: Target,
    group: str,
    was: JudgedPictures,
    now: JudgedPictures,
    panel: Panel,
    single: float,
    seed: int,
) -> CompositionScores:
    alignment = drift = structure = None
    name = ""
    if len(was):
        texts = panel.clip.text_features(was.texts)
        what = f"alignment score of {group} near '{target.name}'"
        alignment = alignment_score(was.features, now.features, texts, was.texts, seed, what)
        moved = paired_drift(was.thumbnails, now.thumbnails, was.features, now.features)
        drift, structure = (mean_drift(each, was.texts, seed) for each in (moved.features, moved.structure))
        name = _structure_name(moved, was)
    return CompositionScores(
        target=label(target),
        group=group,
        example=was.texts[0] if len(was) else "",
        alignment=alignment,
        single_alignment=single,
        drift=drift,
        structure=structure,
        structure_name=name,
    )


def _warnings(question: Question, features: str, was: JudgedPictures, now: JudgedPictures) -> list[str]:
    found = []
    if question.model.digest == question.against.digest:
        found.append("Both models have the same weights: nothing can differ.")
    for name, pictures in (("The model", now), ("The model measured against", was)):
        plain = int((pictures.contrasts == 0).sum())
        if len(set(pictures.fingerprints)) == 1:
            found.append(f"{name} draws one and the same picture for all {len(pictures)} prompts and seeds.")
        elif plain:
            found.append(f"{name} draws one plain colour in {plain} of {len(pictures)} pictures.")
    if "too high" in features:
        found.append(f"FD rests on {features}.")
    return found


def _table(parts: list[tuple[str, str]], was: JudgedPictures, now: JudgedPictures, panel: Panel) -> pd.DataFrame:
    texts = panel.clip.text_features(was.texts)
    factors = dict.fromkeys(factor for prompt in was.prompts for factor in prompt.factors)
    columns: dict[str, object] = {
        "part": [part for part, _ in parts],
        "target": ["" if part.startswith(COMPOSITION_PART) else target for part, target in parts],
        "near": [target if part.startswith(COMPOSITION_PART) else "" for part, target in parts],
        "prompt": was.texts,
        "seed": list(was.seeds),
        **{f"asked_{factor}": [prompt.factors.get(factor, "") for prompt in was.prompts] for factor in factors},
    }
    for name, each in (("before", was), ("after", now)):
        columns |= {f"{factor}_{name}": list(levels) for factor, levels in each.recognised.items()}
        columns |= {f"{factor}_by_clip_{name}": list(levels) for factor, levels in each.recognised_by_clip.items()}
        columns[f"as_asked_{name}"] = as_asked(each.prompts, each.recognised, list(each.recognised))
        columns[f"alignment_{name}"] = cosines(each.features, texts)
        columns[f"picture_{name}"] = list(each.fingerprints)
    columns["likeness"] = cosines(was.features, now.features)
    return pd.DataFrame(columns)


def _prompts_digest(shards: Sequence[Shard]) -> str:
    digest = hashlib.sha256()
    for shard in shards:
        digest.update(shard.model_dump_json().encode())
    return digest.hexdigest()


def _check(shards: Sequence[Shard], before: Sequence[JudgedPictures], after: Sequence[JudgedPictures]) -> None:
    for name, judged in (("before", before), ("after", after)):
        asked = [(shard.prompts, shard.seeds) for shard in shards]
        if asked != [(each.prompts, each.seeds) for each in judged]:
            raise ExpungeError(f"{name}: {len(judged)} judged shards that are not those of the plan ({len(shards)}).")
    widths = {each.features.shape[1] for each in (*before, *after)}
    if len(widths) > 1:
        raise ExpungeError(f"judges: features of {sorted(map(int, widths))} numbers; use one panel for all.")
    if not np.all([np.isfinite(each.features).all() for each in (*before, *after)]):
        raise ExpungeError("judges: some features are NaN or infinite; check the CLIP judge.")
