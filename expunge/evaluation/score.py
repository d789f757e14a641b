"""From judged shards to numbers: the evaluation, UA by wording group, warnings, and one row per picture."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import pandas as pd

from expunge.case import Case
from expunge.errors import ExpungeError
from expunge.evaluation.cautions import warnings_of, without_limits
from expunge.evaluation.evaluation import Evaluation, TargetScores
from expunge.evaluation.evaluation_settings import EvaluationSettings
from expunge.evaluation.plan import (
    COMPOSITION,
    EARLIER,
    HELD_OUT,
    IN_PLACE,
    REFERENCE,
    TARGET,
    TRAIN,
    composition_part,
    label,
    paired,
)
from expunge.evaluation.result import CompositionScores, EvaluationResult, WordingScores
from expunge.judges.judged import JudgedPictures, join
from expunge.judges.panel import Panel
from expunge.metrics.alignment_score import cosines, of_pair, read_whole
from expunge.metrics.content_kept import by_factor
from expunge.metrics.frechet_distance import feature_label
from expunge.metrics.paired_drift import moved_by, restructured_by
from expunge.metrics.quantities import Quantity, measured, quantities_of
from expunge.metrics.retain_accuracy import as_asked, collateral
from expunge.metrics.sample import Pair, Sample
from expunge.models.model_facts import ModelFacts
from expunge.pictures.shards import Shard, prompts_digest
from expunge.prompts.compositions import COMPOSITIONS
from expunge.prompts.target import Target
from expunge.prompts.variants import WORDINGS

BY_TWO_JUDGES = ("unlearning_accuracy", "unlearning_accuracy_clip")  # quantities, in the order of a panel's judges


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

    def warned(self, warnings: Sequence[str]) -> "Scores":
        """The same with more warnings."""
        result = self.result.model_copy(update={"warnings": (*self.result.warnings, *warnings)})
        return replace(self, result=result)


@dataclass(frozen=True)
class Judged:
    """A plan, and what the panel said of its pictures.

    Attributes:
        shards: the whole plan.
        before: of the model measured against, one entry per shard.
        after: of the model measured, one entry per shard that both draw.

    Raises:
        ExpungeError: they do not belong together, or hold features that are no numbers.
    """

    shards: Sequence[Shard]
    before: Sequence[JudgedPictures]
    after: Sequence[JudgedPictures]

    def __post_init__(self) -> None:
        plans = {"before": (self.shards, self.before), "after": (paired(self.shards), self.after)}
        for name, (shards, judged) in plans.items():
            if [(each.prompts, each.seeds) for each in shards] != [(each.prompts, each.seeds) for each in judged]:
                raise ExpungeError(f"{name}: {len(judged)} judged shards, not those of the plan ({len(shards)}).")
        found = [each.features for each in (*self.before, *self.after)]
        if len(widths := {each.shape[1] for each in found}) > 1:
            raise ExpungeError(f"judges: features of {sorted(map(int, widths))} numbers; use one panel for all.")
        if not all(np.isfinite(each).all() for each in found):
            raise ExpungeError("judges: some features are NaN or infinite; check the CLIP judge.")


def score(case: Case, settings: EvaluationSettings, judged: Judged, model: ModelFacts, against: ModelFacts) -> Scores:
    """Score a model against another by what the panel said of their pictures.

    Raises:
        ExpungeError: no picture asks for a target or for anything else, a factor without a classifier, or too few
            pictures for a number; the message says which.
    """
    scoring = _Scoring(case, settings, judged)
    evaluation = scoring.evaluation(model)
    warnings = [*warnings_of(evaluation, scoring.pair), *without_limits(scoring.panel)]
    if model.digest == against.digest:
        warnings.insert(0, "Both models have the same weights: nothing can differ.")
    result = EvaluationResult(
        model=model,
        against=against,
        targets=case.targets,
        evaluation=evaluation,
        wordings=tuple(scoring.wordings()),
        compositions=tuple(scoring.compositions()),
        warnings=tuple(warnings),
        world=case.world_name,
        judges=case.judges,
        settings=settings,
        prompts_digest=prompts_digest(judged.shards),
    )
    return Scores(result, scoring.table())


def limited_by(case: Case, own: JudgedPictures) -> Panel:
    """The case's panel, whose zero-shot judges have limits set on the base's own pictures.

    Not on what was asked for something forgotten before, for that shows another. Those that UA before is measured on
    are among them: by few pictures of a target the limits would be so high that what is still drawn counted as gone.
    """
    kept = own.select([i for i, prompt in enumerate(own.prompts) if not case.asks_for_forgotten(prompt)])
    return case.panel().limited(kept.prompts, kept.features, kept.first_features)


class _Scoring:
    """The parts of one evaluation."""

    def __init__(self, case: Case, settings: EvaluationSettings, judged: Judged) -> None:
        self.case, self.settings = case, settings
        both = paired(judged.shards)
        self.parts = [(shard.part, shard.target) for shard in both for _ in shard.prompts]
        drawn_before = join([*self._seen_on(REFERENCE, judged), *self._seen_on(TRAIN, judged)])
        measured_on = [*self._seen_on(HELD_OUT, judged), *self._seen_on(TARGET, judged)]
        self.panel = limited_by(case, join([drawn_before, *measured_on]))
        factors = [] if self.panel.one_judge else sorted(case.world.factors)
        joined = (join(each[: len(both)]).judged_with(self.panel) for each in (judged.before, judged.after))
        self.pair = Pair(*(each.seen_by_clip(self.panel, case.world, factors) for each in joined))
        held_out = self._those(HELD_OUT, TARGET).where(case.is_measured)
        yardstick = join(self._seen_on(REFERENCE, judged))
        kept = [i for i, prompt in enumerate(yardstick.prompts) if not case.asks_for_gone(prompt)]
        nothing = self.pair.select([])
        self.sample = Sample(
            targets=case.targets,
            asked=nothing,
            rest=held_out.where(lambda prompt: not case.asks_for_gone(prompt)),
            train=self._those(TRAIN).where(lambda prompt: not case.asks_for_gone(prompt)),
            in_place=nothing.was,
            drawn_before=drawn_before,
            reference=yardstick.select(kept),
            panel=self.panel,
            seed=settings.seed,
        )
        self.held_out = held_out
        self.in_place = {label(each): self._seen_on(IN_PLACE, judged, label(each)) for each in case.targets}
        self._check()

    def evaluation(self, model: ModelFacts) -> Evaluation:
        """All numbers of targets and rest."""
        rest, reference = self.sample.rest, self.sample.reference
        drawing = self.case.drawing.model_dump(exclude_none=True)
        return Evaluation(
            targets=tuple(self._target(each, self.held_out.where(each.matches)) for each in self.case.targets),
            earlier=tuple(self._earlier(each) for each in self.case.forgotten),
            rest=measured(self._wanted(quantities_of("rest")), self.sample),
            frechet_features=feature_label(
                reference.named_by or self.panel.clip.name,
                reference.distance_features.shape[1],
                min(len(rest), len(reference)),
            ),
            one_judge=self.panel.one_judge,
            collateral=collateral(rest.prompts, rest.was.recognised, rest.now.recognised),
            sampling={"sampler": model.sampler, **drawing, "seed": self.settings.seed},
        )

    def wordings(self) -> list[WordingScores]:
        """UA in other wordings, where some were drawn."""
        groups = WORDINGS if self.settings.wording_pictures else ()
        return [self._wording(target, group) for target, group in product(self.case.targets, groups)]

    def compositions(self) -> list[CompositionScores]:
        """What became of the targets' neighbours in scenes, where some were drawn."""
        groups = COMPOSITIONS if self.settings.composition_pictures else ()
        found = self._alignments(self.sample.rest.was)
        single = float(found[np.isfinite(found)].mean()) if np.isfinite(found).any() else 0.0
        return [self._composition(target, group, single) for target, group in product(self.case.targets, groups)]

    def table(self) -> pd.DataFrame:
        """One row per pair of pictures."""
        was, now, scene = self.pair.was, self.pair.now, f"{COMPOSITION}:"
        factors = dict.fromkeys(factor for prompt in was.prompts for factor in prompt.factors)
        columns: dict[str, object] = {
            "part": [part for part, _ in self.parts],
            "target": ["" if part.startswith(scene) else target for part, target in self.parts],
            "near": [target if part.startswith(scene) else "" for part, target in self.parts],
            "prompt": was.texts,
            "seed": list(was.seeds),
            **{f"asked_{factor}": [prompt.factors.get(factor, "") for prompt in was.prompts] for factor in factors},
        }
        for name, each in (("before", was), ("after", now)):
            columns |= {f"{factor}_{name}": list(levels) for factor, levels in each.recognised.items()}
            columns |= {f"{factor}_by_clip_{name}": list(levels) for factor, levels in each.recognised_by_clip.items()}
            columns[f"as_asked_{name}"] = as_asked(each.prompts, each.recognised, list(each.recognised))
            columns[f"alignment_{name}"] = self._alignments(each)
            columns[f"picture_{name}"] = list(each.fingerprints)
        columns["likeness"] = cosines(was.features, now.features)
        return pd.DataFrame(columns)

    def _alignments(self, judged: JudgedPictures) -> np.ndarray:
        """(n,) cosine of each picture with its prompt; NaN where CLIP does not read that to the end."""
        found = np.full(len(judged), np.nan)
        if read := read_whole(judged.texts, self.panel):
            texts = self.panel.clip.text_features([judged.texts[i] for i in read])
            found[read] = cosines(judged.features[read], texts)
        return found

    def _those(self, *parts: str, target: str | None = None) -> Pair:
        wanted = (part in parts and target in (None, of) for part, of in self.parts)
        return self.pair.select([i for i, each in enumerate(wanted) if each])

    @staticmethod
    def _seen_on(part: str, judged: Judged, target: str = "") -> list[JudgedPictures]:
        pairs = zip(judged.shards, judged.before, strict=True)
        return [found for shard, found in pairs if shard.part == part and target in ("", shard.target)]

    def _wanted(self, quantities: Sequence[Quantity]) -> list[Quantity]:
        asked = self.settings.quantities
        return [each for each in quantities if not asked or each.name in asked]

    def _target(self, target: Target, asked: Pair) -> TargetScores:
        in_place = join(self.in_place[label(target)]) if self.in_place[label(target)] else self.sample.in_place
        sample = replace(self.sample, targets=(target,), asked=asked, in_place=in_place)
        scores = self._scores(target, measured(self._wanted(quantities_of("target")), sample))
        return scores.model_copy(update={"content": by_factor(sample)})

    def _earlier(self, target: Target) -> TargetScores:
        return self._scores(target, self._unlearning(target, self._those(EARLIER, target=label(target))))

    def _scores(self, target: Target, numbers: dict) -> TargetScores:
        told_by = dict(zip(BY_TWO_JUDGES, self.panel.named(target.factor), strict=True))
        return TargetScores(
            request_id=target.request_id,
            name=target.name,
            kind=target.kind.value,
            numbers=numbers,
            told_by={name: told for name, told in told_by.items() if told and name in numbers},
        )

    def _unlearning(self, target: Target, asked: Pair) -> dict:
        own = [each for each in quantities_of("target") if each.of == "target"]
        return measured(self._wanted(own), replace(self.sample, targets=(target,), asked=asked))

    def _wording(self, target: Target, group: str) -> WordingScores:
        asked = self._those(group, target=label(target))
        example = asked.texts[0] if len(asked) else ""
        return WordingScores(
            target=label(target), group=group, example=example, numbers=self._unlearning(target, asked)
        )

    def _composition(self, target: Target, group: str, single: float) -> CompositionScores:
        pair, seed = self._those(composition_part(group), target=label(target)), self.settings.seed
        scores = CompositionScores(target=label(target), group=group, example="", single_alignment=single)
        if not len(pair):
            return scores
        structure, name = restructured_by(pair, seed)
        found = {
            "example": pair.texts[0],
            "alignment": of_pair(pair, self.panel, seed, f"alignment score of {group} near '{target.name}'"),
            "drift": moved_by(pair, seed),
            "structure": structure,
            "structure_name": name,
        }
        return scores.model_copy(update=found)

    def _check(self) -> None:
        for target in self.case.gone:
            self.panel.refuse_unjudged(target)
        for target in self.case.targets:
            if not len(self.held_out.where(target.matches)):
                raise ExpungeError(f"target '{target.name}': no picture asks for it. Draw held-out prompts that do.")
        for name, found in (("held-out", self.sample.rest), ("reference", self.sample.reference)):
            if not len(found):
                raise ExpungeError(f"{name}: every prompt asks for a target. Draw pictures of other things as well.")
