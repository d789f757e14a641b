"""Forget one target after another, and measure all of them, and the rest, after every round."""

import hashlib
import json
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from expunge.benchmark.measuring import measure
from expunge.benchmark.result_store import Result, ResultStore, measuring_code
from expunge.benchmark.sequence_settings import SequentialSettings, targets_of
from expunge.case import Case
from expunge.errors import ExpungeError
from expunge.evaluation.evaluation import Evaluation
from expunge.evaluation.score import Scores
from expunge.metrics.unlearning_accuracy import not_found
from expunge.models.resolver import load_text_to_image
from expunge.models.text_to_image import TextToImage
from expunge.pictures.drawing import draw_with_own_seeds
from expunge.pictures.picture_store import PictureStore
from expunge.prompts.target import Target
from expunge.unlearning.diversification import diversify
from expunge.unlearning.job import measure_gradients, unlearn_model
from expunge.unlearning.trace import Trace
from expunge.unlearning.training_sets import TrainingSets


class Verdicts(BaseModel):
    """The classifier's verdict on each picture of one target; the same prompts and noise in every round.

    Attributes:
        texts: n prompts.
        absent: n times whether the target was not found.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    texts: tuple[str, ...]
    absent: tuple[bool, ...]


class Round(Result):
    """One takedown, and what was measured after it.

    Attributes:
        number: from 1.
        target: what was forgotten in this round.
        before: digest of the model that it started from.
        after: digest of the model that it left.
        steps: made by the method.
        stopped: why it stopped.
        passes: forward and backward passes that the steps took.
        seconds: of the whole round, drawing and measuring included.
        evaluation: every target of the sequence and the rest, against the original model.
        verdicts: by target, what UA rests on.
    """

    number: int
    target: Target
    before: str
    after: str
    steps: int
    stopped: str
    passes: float
    seconds: float
    evaluation: Evaluation
    verdicts: dict[str, Verdicts]


def run_sequence(
    original: TextToImage,
    case: Case,
    settings: SequentialSettings,
    folder: Path,
    on_round: Callable[[Round], None] | None = None,
) -> list[Round]:
    """Forget the targets one by one, each round on the model that the last one left.

    Retain pictures, and the predictions that are kept, come from the first model or from the last, as the settings say;
    they show nothing forgotten so far, and ask for it only by what the last one draws in its place. Each round's
    evaluation is of all targets, those still to come as well, and is paired with the original model's pictures.

    Args:
        original: the model before the first round; it is left as it is.
        case: world, judges and how data are drawn.
        settings: targets, method, sizes.
        folder: finished rounds, ``round-01.json`` with the model beside it, are taken from it and kept in it.
        on_round: told of every round, done now or before.

    Raises:
        ExpungeError: as in ``targets_of``, a folder of another sequence, or what the method refuses.
    """
    case = case.about(targets_of(settings, case.world)).drawn_with(settings.drawing)
    key = _key(original, case, settings)
    store, pictures = ResultStore(folder, Round, settings.keep), PictureStore(folder / "pictures")
    model, rounds = original, list[Round]()
    for number in range(1, len(case.targets) + 1):
        name, started = f"round-{number:02d}", time.perf_counter()
        done = store.find(name, key)
        if done is not None and done.before == model.digest():
            model = kept_model(folder / name, done)
        else:
            before, target = model.digest(), case.targets[number - 1]
            model, trace = forget_next(model, original, case.about([target], case.targets[: number - 1]), settings)
            scores = measure(model, original, case, settings.measuring, pictures)
            done = Round(
                key=key,
                code=measuring_code(),
                number=number,
                target=target,
                before=before,
                after=model.digest(),
                steps=len(trace.rows),
                stopped=trace.stopped,
                passes=sum(row.passes for row in trace.rows),
                seconds=time.perf_counter() - started,
                evaluation=scores.result.evaluation,
                verdicts={each.name: verdicts(each, scores) for each in case.targets},
            )
            shutil.rmtree(folder / name, ignore_errors=True)  # what a killed round left
            model.save(folder / name)  # first: a round whose facts are there is whole
            store.put(name, done)
        rounds.append(done)
        if on_round is not None:
            on_round(done)
    return rounds


def forget_next(
    model: TextToImage, first: TextToImage, case: Case, settings: SequentialSettings
) -> tuple[TextToImage, Trace]:
    """One takedown on a model that has forgotten others before: diversify, cache gradients, unlearn."""
    sizes, how = settings.diversification, settings.unlearning
    before = first if settings.retained_from == "first" else None
    sampled = case.world.sample("train", sizes.pool_per_stratum, sizes.seed)
    asked = [prompt for prompt in sampled if case.is_measured(prompt)]
    salt, label = f"{sizes.seed}/train", "Drawing what is not forgotten"
    pool = draw_with_own_seeds(before or model, asked, salt, case.drawing, label)
    made = diversify(model, pool, case, sizes, first=before)
    sets = TrainingSets(made.forget, made.retain, first=before)
    cache = measure_gradients(model, sets, settings.gradients, how.forgetting())
    return unlearn_model(model, replace(sets, cache=cache), case, how, settings.check)


def verdicts(target: Target, scores: Scores) -> Verdicts:
    """Of the pictures that UA rests on."""
    rows = scores.pictures[scores.pictures["part"].isin(("held_out", "target"))]
    rows = rows[rows[f"asked_{target.factor}"].isin(target.levels)]
    absent = not_found(target, rows[f"{target.factor}_after"].tolist())
    return Verdicts(texts=tuple(rows["prompt"]), absent=tuple(map(bool, absent)))


def kept_model(folder: Path, done: Round) -> TextToImage:
    """The model that a finished round left.

    Raises:
        ExpungeError: it is not there, or is another.
    """
    try:
        model = load_text_to_image(str(folder))
    except ExpungeError as error:
        raise ExpungeError(f"folder: {folder}: {error}; remove {folder.name}.json to do the round again.") from error
    if model.digest() != done.after:
        raise ExpungeError(f"folder: {folder} holds another model than round {done.number} left; remove both.")
    return model


def _key(original: TextToImage, case: Case, settings: SequentialSettings) -> str:
    """All targets are in it, because all are measured, and no round is worth another sequence's numbers."""
    facts = [original.digest(), case.digest(), settings.model_dump(mode="json", exclude={"keep"})]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
