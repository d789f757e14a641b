"""Ten takedowns in one run. Is each of them forgotten, and what becomes of the rest? Ours beside the closed forms.

    python -m benchmarks.at_once                                   ten targets, four methods; 15 minutes on one core
    python -m benchmarks.at_once --targets object:cat style:twemoji
    python -m benchmarks.at_once --config FILE                     any field of AtOnceSettings, as YAML

All methods get the same forget and retain sets and are measured on the same pictures against the same model. The closed
forms have no learning rate and make one step; their options are those of `benchmarks/results/closed_forms.md`, none of
them tuned on these targets. What was measured of a method is kept in --folder and not measured again.
"""

import argparse
import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from pydantic import Field

from expunge.benchmark.machine import command, machine
from expunge.benchmark.measuring import MeasuringSettings, measure
from expunge.benchmark.result_store import Result, ResultStore, measuring_code
from expunge.benchmark.sequence_settings import SequentialSettings, targets_of
from expunge.case import Case, resolve_case
from expunge.evaluation.evaluation import Evaluation
from expunge.markdown import markdown_table
from expunge.metrics.numbers import Change, Interval
from expunge.metrics.quantities import quantities_of
from expunge.metrics.units import Unit
from expunge.models.resolver import load_text_to_image
from expunge.models.text_to_image import TextToImage
from expunge.pictures.drawing import DrawingSettings, draw_over_world
from expunge.pictures.picture_store import PictureStore
from expunge.unlearning.diversification import Datasets, diversify
from expunge.unlearning.job import measure_gradients, unlearn_model
from expunge.unlearning.training_sets import TrainingSets
from expunge.unlearning.unlearn_settings import UnlearnSettings

BASE = "base model"
ONE_STEP: dict[str, Any] = {"steps": 1, "learning_rate": 1e-4, "alignment": "data", "pace": None}
METHODS = {
    "default": UnlearnSettings(steps=240, check_every=20),
    "UCE": UnlearnSettings(method="unified_concept_editing", **ONE_STEP),
    "SPEED": UnlearnSettings(method="null_space_editing", **ONE_STEP),
    "OCE, vectors": UnlearnSettings(
        method="orthogonal_concept_erasure", method_options={"objective": "vectors"}, retain_weight=1.0, **ONE_STEP
    ),
}


class AtOnceSettings(SequentialSettings):
    """What is forgotten at once, by which methods; `unlearning` of a sequence is not looked at."""

    methods: dict[str, UnlearnSettings] = Field(default=METHODS, min_length=1)
    drawing: DrawingSettings = DrawingSettings(steps=10)
    measuring: MeasuringSettings = MeasuringSettings(
        target_pictures=40, held_out_pictures=320, train_pictures=160, reference_pictures=160
    )


class Outcome(Result):
    """What one method left.

    Attributes:
        method: label.
        steps: made.
        passes: forward and backward passes of these steps.
        seconds: of unlearning, gradients at θ₀ included, drawing of the sets not.
        evaluation: all targets and the rest, against the original model.
    """

    method: str
    steps: int
    passes: float
    seconds: float
    evaluation: Evaluation


def outcomes(model: TextToImage, case: Case, settings: AtOnceSettings, folder: Path) -> list[Outcome]:
    """All methods, one after the other."""
    case = case.about(targets_of(settings, case.world)).drawn_with(settings.drawing)
    store, pictures = ResultStore(folder, Outcome, settings.keep), PictureStore(folder / "pictures")
    facts = settings.model_dump(mode="json", exclude={"keep", "methods", "unlearning"})
    found, sets = list[Outcome](), None
    for label, how in settings.methods.items():
        whole = [model.digest(), case.digest(), facts, label, how.model_dump(mode="json")]
        key = hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()
        outcome = store.find(key[:24], key)
        if outcome is None:
            sets = sets or _sets(model, case, settings)
            started = time.perf_counter()
            training = TrainingSets(sets.forget, sets.retain)
            cache = measure_gradients(model, training, settings.gradients, how.forgetting())
            training = replace(training, cache=cache)
            unlearned, trace = unlearn_model(model, training, case, how, settings.check)
            seconds = time.perf_counter() - started
            outcome = Outcome(
                key=key,
                code=measuring_code(),
                method=label,
                steps=len(trace.rows),
                passes=sum(row.passes for row in trace.rows),
                seconds=seconds,
                evaluation=measure(unlearned, model, case, settings.measuring, pictures).result.evaluation,
            )
            store.put(key[:24], outcome)
        found.append(outcome)
    return found


def _sets(model: TextToImage, case: Case, settings: AtOnceSettings) -> Datasets:
    sizes = settings.diversification
    pool = draw_over_world(model, case.world, "train", sizes.pool_per_stratum, sizes.seed, case.drawing)
    return diversify(model, pool, case, sizes)


def page(found: Sequence[Outcome], facts: dict[str, str]) -> str:
    """Every target by every method, and the rest."""
    first = found[0].evaluation
    names = [each.name for each in first.targets]
    parts = [
        f"# {len(names)} targets at once",
        "\n".join(f"- {name}: {value}" for name, value in facts.items()),
        f"Forgotten in one run: {', '.join(names)}. In brackets 95 % intervals.",
    ]
    for what in quantities_of("target"):
        if not all(what.name in each.numbers for each in first.targets):
            continue
        sides = {BASE: [each.numbers[what.name].before for each in first.targets]}
        sides |= {o.method: [each.numbers[what.name].after for each in o.evaluation.targets] for o in found}
        rows = [
            [method, *(what.unit.value(each.value) for each in intervals), what.unit.value(_mean(intervals))]
            for method, intervals in sides.items()
        ]
        parts += [f"## {what.label}", markdown_table(["method", *names, "mean"], rows)]
    rest = [each for each in quantities_of("rest") if each.name in first.rest]
    rows = [[BASE, *(each.unit.value(first.rest[each.name].before.value) for each in rest), "", "", ""]]
    for each in found:
        numbers = [_changed(what.unit, each.evaluation.rest[what.name]) for what in rest]
        rows.append([each.method, *numbers, str(each.steps), f"{each.passes:.0f}", f"{each.seconds:.1f}"])
    headings = ["method", *(each.label for each in rest), "steps", "passes", "seconds"]
    parts += ["## The rest", "Everything that none of the targets is; the change to the base model, paired."]
    return "\n\n".join([*parts, markdown_table(headings, rows)]) + "\n"


def _mean(intervals: Sequence[Interval]) -> float:
    return sum(each.value for each in intervals) / len(intervals)


def _changed(unit: Unit, change: Change) -> str:
    return f"{unit.difference(change.difference.value)} [{unit.range(change.difference, signed=True)}]"


def frame(found: Sequence[Outcome]) -> pd.DataFrame:
    """A row for each method, quantity and target (or ``rest``): before, after and change, each with its interval."""
    rows = []
    for each in found:
        of_all = [(t.name, t.numbers) for t in each.evaluation.targets] + [("rest", each.evaluation.rest)]
        for of, numbers in of_all:
            for name, change in numbers.items():
                sides = {"before": change.before, "after": change.after, "change": change.difference}
                ends = {
                    f"{side}_{end}": getattr(i, end) for side, i in sides.items() for end in ("value", "low", "high")
                }
                rows.append({"method": each.method, "quantity": name, "of": of, **ends})
    return pd.DataFrame(rows)


def main() -> None:
    """Measure what is missing; write table and page."""
    parser = argparse.ArgumentParser(description="Takedowns at once.")
    parser.add_argument("--targets", nargs="+", metavar="KIND:NAME")
    parser.add_argument("--config", type=Path, help="YAML with fields of AtOnceSettings")
    parser.add_argument("--folder", type=Path, default=Path(".expunge/at-once"), help="where outcomes are kept")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/at_once.md"))
    options = parser.parse_args()
    given = yaml.safe_load(options.config.read_text(encoding="utf-8")) if options.config else {}
    settings = AtOnceSettings.model_validate(given | ({"targets": options.targets} if options.targets else {}))
    case = resolve_case("zoo", "zoo", settings.drawing)
    found = outcomes(load_text_to_image("zoo"), case, settings, options.folder)
    options.output.write_text(page(found, machine() | {"command": command()}), encoding="utf-8")
    frame(found).to_parquet(options.output.with_suffix(".parquet"))


if __name__ == "__main__":
    main()
