"""How far is an unlearned digit model from models that never saw the digit? Ten of these, the oracles, give the scale.

    python -m benchmarks.oracles.measure --config benchmarks/oracles/digits.yaml         three hours on one core, once
    python -m benchmarks.oracles.measure --config benchmarks/oracles/digits.yaml --only-page       the page anew

An oracle is trained by the model's own recipe, from another seed, on every picture but the target's. Models are looked
at with the same prompts, pictures and noise. A distance of an unlearned model is the mean of its distances to all
oracles; the oracles' own is the mean of one to the others. *Prediction*: mean squared difference of what is predicted
for the original's pictures, noised, under their own prompts. *Pictures*: kernel distance of what is drawn, in the
second judge's features. What was measured of a model is kept, so that a run that was stopped goes on.
"""

import argparse
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import yaml
from pydantic import Field

from benchmarks.oracles.page import ORACLE, ORIGINAL, write_page
from benchmarks.oracles.yardstick import Shown, Sizes, Yardstick, mean_distances
from expunge.benchmark.bench import Bench, Materials
from expunge.benchmark.benchmark_settings import BenchmarkSettings, TargetEntry
from expunge.benchmark.cell import Cell
from expunge.benchmark.result_store import Result, ResultStore, measuring_code
from expunge.benchmark.run_cell import made, step_cost
from expunge.benchmark.runner import cell_of, context_of, tuned_rates
from expunge.comeback.trial import Trial
from expunge.models.text_to_image import TextToImage
from expunge.progress import track
from expunge.settings import Settings
from expunge.zoo.digits.digits_denoiser import DenoiserRecipe
from expunge.zoo.digits.kept import digits_model


class OracleSettings(Settings):
    """What is compared with how many oracles."""

    benchmark: BenchmarkSettings
    oracles: int = Field(default=10, ge=3, le=100, description="models that never saw the target, for each")
    sizes: Sizes = Sizes()
    seed: int = Field(default=20000, ge=0, description="of prompts, pictures and noise that models are looked at with")


class Looked(Result):
    """One model, looked at.

    Attributes:
        who: ``oracle``, ``original``, or the label of a method.
        target: name of what was forgotten.
        seed: of its training.
        digest: of the model.
        numbers: shares, and mean distances to the oracles; of an oracle to the other ones.
        relearning: steps, and UA after them.
    """

    who: str
    target: str
    seed: int
    digest: str
    numbers: dict[str, float]
    relearning: tuple[tuple[int, float], ...]


class _Study:
    """One target after the other; what is there already is not measured again."""

    def __init__(self, settings: OracleSettings, folder: Path) -> None:
        self.settings = settings
        self.bench = Bench.named("digits", "digits", "digits", settings.benchmark)
        self.store = ResultStore(folder / "models", Looked, settings.benchmark.keep)
        self.rates = tuned_rates(self.bench, folder)

    def run(self) -> Iterator[Looked]:
        """All models of all targets."""
        for target in self.settings.benchmark.targets:
            yield from self._of(target)

    def _of(self, target: TargetEntry) -> Iterator[Looked]:
        case = self.bench.case.about([target.resolve(self.bench.case.world)])
        case = case.drawn_with(self.settings.benchmark.evaluation.drawing)
        yardstick = Yardstick(self.bench.model, Trial(case, case.targets[0], self.settings.seed), self.settings.sizes)
        recipes = [DenoiserRecipe(seed=n + 1, leave_out=(target.name,)) for n in range(self.settings.oracles)]
        oracles = [digits_model(each) for each in recipes]
        shown = [yardstick.look(each) for each in track(oracles, f"Looking at oracles without {target.name}")]
        for number, each in enumerate(oracles):
            others = shown[:number] + shown[number + 1 :]
            yield self._looked(ORACLE, target, number + 1, each, shown[number], others)
        yield self._looked(ORIGINAL, target, 0, self.bench.model, yardstick.look(self.bench.model), shown)
        yield from self._unlearned(target, yardstick, shown)

    def _unlearned(self, target: TargetEntry, yardstick: Yardstick, oracles: list[Shown]) -> Iterator[Looked]:
        benchmark, materials = self.settings.benchmark, None
        for entry in track(benchmark.entries, f"Unlearning {target.name}"):
            for seed in benchmark.seeds:
                cell = cell_of(benchmark, entry, target, seed, "equal_forgetting", self.rates)
                key = self._key(cell)
                found = self.store.find(key[:24], key)
                if found is None:
                    materials = materials or Materials.of(self.bench, yardstick.trial.target)
                    model = made(cell, self.bench, materials, step_cost(cell, self.bench, materials)).model
                    found = self._looked(entry.name, target, seed, model, yardstick.look(model), oracles, key)
                    self.store.put(key[:24], found)
                yield found

    def _key(self, cell: Cell) -> str:
        facts = self.settings.model_dump(mode="json", exclude={"benchmark"})
        own = cell.key(self.settings.benchmark, context_of(self.bench))
        return hashlib.sha256(json.dumps([own, facts], sort_keys=True).encode()).hexdigest()

    @staticmethod
    def _looked(
        who: str, target: TargetEntry, seed: int, model: TextToImage, seen: Shown, oracles: list[Shown], key: str = ""
    ) -> Looked:
        return Looked(
            key=key,
            code=measuring_code(),
            who=who,
            target=target.name,
            seed=seed,
            digest=model.digest(),
            numbers={**seen.numbers, **mean_distances(seen, oracles)},
            relearning=seen.relearning,
        )


def main() -> None:
    """Measure what is missing, and write table, picture and page."""
    parser = argparse.ArgumentParser(description="Unlearned models beside models that never saw the target.")
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--folder", type=Path, default=Path(".expunge/oracles"), help="where results are kept")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/oracles"))
    parser.add_argument("--only-page", action="store_true", help="from the table that is there")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    table = options.output / "digits.parquet"
    if not options.only_page:
        settings = OracleSettings.model_validate(yaml.safe_load(options.config.read_text(encoding="utf-8")))
        found = list(_Study(settings, options.folder).run())
        rows = [{**each.model_dump(exclude={"numbers", "relearning", "key"}), **each.numbers,
                 "steps": [step for step, _ in each.relearning], "curve": [share for _, share in each.relearning]}
                for each in found]  # fmt: skip
        pd.DataFrame(rows).to_parquet(table)
    print(write_page(pd.read_parquet(table), options.output))


if __name__ == "__main__":
    main()
