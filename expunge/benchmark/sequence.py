"""Forget one target after another, and measure all of them, and the rest, after every round."""

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from expunge.benchmark.round_store import FORMAT_VERSION, Round, RoundStore, Verdicts
from expunge.benchmark.sequence_settings import SequentialSettings, targets_of
from expunge.case import Case
from expunge.evaluation.evaluation import Evaluation
from expunge.evaluation.model_evaluation import EvaluationSettings, evaluate_model
from expunge.judges.panel import Panel
from expunge.metrics.unlearning_accuracy import not_found
from expunge.models.text_to_image import TextToImage
from expunge.pictures.drawing import draw_with_own_seeds
from expunge.pictures.picture_set import PictureSet, concatenate
from expunge.prompts.pairing import forget_prompts
from expunge.prompts.target import Target
from expunge.prompts.world import Prompt, Side, World
from expunge.unlearning.diversification import diversify
from expunge.unlearning.job import TrainingSets, measure_gradients, unlearn_model
from expunge.unlearning.trace import Trace


def run_sequence(
    original: TextToImage,
    world: World,
    panel: Panel,
    settings: SequentialSettings,
    store: RoundStore,
    on_round: Callable[[Round], None] | None = None,
) -> list[Round]:
    """Forget the targets one by one, each round on the model that the last one left.

    Retain pictures come from that last model, as they would in use, and show nothing forgotten so far; they ask for it
    only by what is drawn in their place. Each round's evaluation is of all targets, those still to come as well, and is
    paired with the original model's pictures.

    Args:
        original: the model before the first round; it is left as it is.
        world: what it draws.
        panel: judges.
        settings: targets, method, sizes.
        store: finished rounds are taken from it and kept in it.
        on_round: told of every round, done now or before.

    Raises:
        ExpungeError: as in ``targets_of`` and ``RoundStore``, or what the method refuses.
    """
    targets = targets_of(settings, world)
    keys = _keys(original.digest(), panel, world, settings)
    measure: Measure | None = None
    model, rounds = original, list[Round]()
    for number, key in enumerate(keys, 1):
        done = store.find(number, key)
        if done is not None:
            model = store.model(done)
        else:
            measure = measure or Measure.of(original, targets, world, panel, settings)
            model, done = _play(model, targets, number, key, world, panel, settings, measure)
            store.put(done, model)
        rounds.append(done)
        if on_round is not None:
            on_round(done)
    return rounds


def forget_next(
    model: TextToImage,
    target: Target,
    forgotten: Sequence[Target],
    world: World,
    panel: Panel,
    settings: SequentialSettings,
) -> tuple[TextToImage, Trace]:
    """One takedown on a model that has forgotten others before: diversify, cache gradients, unlearn."""
    how, sizes = settings.drawing, settings.diversification
    asked = _without(forgotten, world.sample("train", sizes.pool_per_stratum, sizes.seed))
    pool = draw_with_own_seeds(model, asked, f"{sizes.seed}/train", how, "Drawing what is not forgotten")
    case = Case.of(world, panel, how).about([target], forgotten)
    sets = diversify(model, pool, case, sizes)
    threshold = settings.unlearning.forget_threshold
    cache = measure_gradients(model, sets.forget, sets.retain, settings.gradients, threshold)
    return unlearn_model(
        model, TrainingSets(sets.forget, sets.retain, cache), case, settings.unlearning, settings.check
    )


@dataclass(frozen=True)
class Measure:
    """What every round is measured by: the original's pictures of all targets and of the rest.

    Attributes:
        held_out: of each target's prompts, which ask for no other target, and of the rest.
        train: of the rest, train-level.
    """

    original: TextToImage
    held_out: PictureSet
    train: PictureSet
    targets: Sequence[Target]
    world: World
    panel: Panel
    settings: SequentialSettings

    @classmethod
    def of(
        cls,
        original: TextToImage,
        targets: Sequence[Target],
        world: World,
        panel: Panel,
        settings: SequentialSettings,
    ) -> "Measure":
        """Draw the original's pictures."""
        sizes = settings.measuring

        def rest(side: Side, per_stratum: int) -> PictureSet:
            prompts = _without(targets, world.sample(side, per_stratum, sizes.seed))
            salt = f"{sizes.seed}/{side}"
            return draw_with_own_seeds(original, prompts, salt, sizes.drawing, f"Drawing the rest before: {side}")

        asked = [
            draw_with_own_seeds(
                original,
                _prompts_of(target, targets, world, "held_out", sizes.target_pictures, sizes.seed + 1),
                f"{sizes.seed}/target/{target.name}",
                sizes.drawing,
                f"Drawing before: {target.name}",
            )
            for target in targets
        ]
        held_out = concatenate([*asked, rest("held_out", sizes.held_out_per_stratum)])
        train = rest("train", sizes.train_per_stratum)
        return cls(original, held_out, train, targets, world, panel, settings)

    def __call__(self, model: TextToImage) -> tuple[Evaluation, dict[str, Verdicts]]:
        """Every target and the rest, of that model against the original; verdicts by target."""
        sizes = self.settings.measuring
        enough = EvaluationSettings(target_pictures=1, seed=sizes.seed)  # they are drawn already
        drawn = evaluate_model(
            self.original,
            model,
            self.held_out,
            self.train,
            self.targets,
            self.world,
            self.panel,
            enough,
            sizes.drawing,
        )
        return drawn.evaluation, {target.name: self._verdicts(target, drawn.after) for target in self.targets}

    def _verdicts(self, target: Target, drawn: PictureSet) -> Verdicts:
        asked = drawn.where(target.matches)
        absent = not_found(target, self.panel.classifiers[target.factor].recognise(asked.pictures))
        return Verdicts(texts=tuple(prompt.text for prompt in asked.prompts), absent=tuple(map(bool, absent)))


def _play(
    model: TextToImage,
    targets: Sequence[Target],
    number: int,
    key: str,
    world: World,
    panel: Panel,
    settings: SequentialSettings,
    measure: Measure,
) -> tuple[TextToImage, Round]:
    started, target = time.perf_counter(), targets[number - 1]
    unlearned, trace = forget_next(model, target, targets[: number - 1], world, panel, settings)
    evaluation, verdicts = measure(unlearned)
    return unlearned, Round(
        key=key,
        number=number,
        target=target,
        before=model.digest(),
        after=unlearned.digest(),
        steps=len(trace.rows),
        stopped=trace.stopped,
        passes=sum(row.passes for row in trace.rows),
        seconds=time.perf_counter() - started,
        evaluation=evaluation,
        verdicts=verdicts,
    )


def _prompts_of(
    target: Target, targets: Sequence[Target], world: World, side: Side, count: int, seed: int
) -> list[Prompt]:
    """Prompts for one target that ask for no other: whether a forgotten cat is in a forgotten style is not asked."""
    asked = forget_prompts(target, world, side, count * len(world.strata()), seed)
    return _without([other for other in targets if other != target], asked)[:count]


def _without(targets: Sequence[Target], prompts: Sequence[Prompt]) -> list[Prompt]:
    return [prompt for prompt in prompts if not any(target.matches(prompt) for target in targets)]


def _keys(original: str, panel: Panel, world: World, settings: SequentialSettings) -> list[str]:
    """One for each round. All targets are in it, because all are measured, and no round is worth another's numbers."""
    facts = {
        "format_version": FORMAT_VERSION,
        "original": original,
        "judges": [panel.clip.name, sorted(panel.classifiers)],
        "world": world.model_dump(mode="json"),
        "settings": settings.model_dump(mode="json"),
    }
    return [
        hashlib.sha256(json.dumps([facts, number], sort_keys=True).encode()).hexdigest()
        for number in range(1, len(settings.targets) + 1)
    ]
