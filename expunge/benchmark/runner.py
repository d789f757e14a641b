"""Run a benchmark: tune, then every method on every target with every seed. What is done already is not done again."""

import hashlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict
from rich.progress import Progress, TaskID

from expunge.benchmark.benchmark_settings import BenchmarkSettings, MethodEntry, TargetEntry
from expunge.benchmark.cell import Cell, CellResult
from expunge.benchmark.cell_store import CellStore
from expunge.benchmark.judging import Judging, draw_judging
from expunge.benchmark.machine import command, machine
from expunge.benchmark.materials import Bench, Materials, prepare
from expunge.benchmark.run_cell import StepCost, result_of, run_cell, step_cost
from expunge.benchmark.tuning import TunedRate, choose_rates
from expunge.errors import ExpungeError
from expunge.pictures.picture_set import PictureSet
from expunge.progress import progress_bar

CODE_VERSION = 4  # raise it when a change of code changes what cells measure: then they are all run again


class BenchmarkResults(BaseModel):
    """Everything that the table is made of.

    Attributes:
        settings: of the benchmark.
        cells: results, failed ones too.
        tuning: what was tried and what was chosen; empty without tuning.
        facts: model, command and machine.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    settings: BenchmarkSettings
    cells: tuple[CellResult, ...]
    tuning: tuple[TunedRate, ...]
    facts: dict[str, str]


def run_benchmark(
    bench: Bench, judges: str, folder: Path, report: Callable[[str], None] | None = None
) -> BenchmarkResults:
    """Run all cells that the folder does not hold yet. A cell that fails is recorded and the others go on.

    Args:
        bench: model, pictures, judges and settings.
        judges: what the judges are called; results are kept apart by it.
        folder: where results are kept.
        report: given a line for each finished cell; None prints it.

    Raises:
        ExpungeError: a target is unknown, a stored result is broken, or every cell failed.
    """
    settings = bench.settings
    tuned_on = settings.tuning.targets if settings.tuning else ()
    for each in (*settings.targets, *tuned_on):
        each.resolve(bench.world)
    tuning_cells = list(_tuning_cells(settings))
    total = len(tuning_cells) + len(list(_cells(settings, {})))
    with progress_bar() as bar:
        task = bar.add_task("benchmark", total=total, note="")
        runner = _Runner(bench, judges, CellStore(folder), bar, task, report)
        tuning: list[TunedRate] = []
        if settings.tuning:
            bar_of_tuning = settings.tuning.unlearning_accuracy_at_least
            tuning = choose_rates([runner.run(cell) for cell in tuning_cells], bar_of_tuning)
        rates = {each.method: each.learning_rate for each in tuning if each.chosen}
        results = [runner.run(cell) for cell in _cells(settings, rates)]
    if all(each.status == "failed" for each in results):
        raise ExpungeError(f"every cell of the benchmark failed; the first with: {results[0].error}")
    facts = {"model": bench.model.digest()[:16], "judges": judges, "command": command(), **machine()}
    return BenchmarkResults(settings=settings, cells=tuple(results), tuning=tuple(tuning), facts=facts)


def _tuning_cells(settings: BenchmarkSettings) -> Iterator[Cell]:
    """Targets outermost: what a target's cells share is made once."""
    if settings.tuning is None:
        return
    for target in settings.tuning.targets:
        for entry in settings.entries:
            for rate in settings.tuning.learning_rates if entry.learning_rate is None else ():
                yield Cell(
                    entry=entry,
                    target=target,
                    seed=settings.tuning.seed,
                    comparison=settings.tuning.comparison,
                    passes=settings.comparisons[settings.tuning.comparison],
                    learning_rate=rate,
                    samples=settings.tuning.evaluation,
                )


def _cells(settings: BenchmarkSettings, rates: dict[str, float]) -> Iterator[Cell]:
    # Equal forgetting first: a run that was not stopped early is a run at equal budget too.
    comparisons = sorted(settings.comparisons.items(), key=lambda each: each[0] != "equal_forgetting")
    for target in settings.targets:
        for seed in settings.seeds:
            for entry in settings.entries:
                for comparison, passes in comparisons:
                    yield Cell(
                        entry=entry,
                        target=target,
                        seed=seed,
                        comparison=comparison,
                        passes=passes,
                        learning_rate=learning_rate(settings, entry, rates),
                        samples=settings.evaluation,
                        probed=seed in settings.probed_seeds,
                    )


def learning_rate(settings: BenchmarkSettings, entry: MethodEntry, tuned: dict[str, float]) -> float | None:
    """The entry's own, else the tuned one, else the one all share; None where it is to be measured."""
    if entry.learning_rate == "measured":
        return None
    return entry.learning_rate or tuned.get(entry.name) or settings.unlearn_settings(entry).learning_rate


def context_of(bench: Bench, judges: str) -> dict[str, Any]:
    """What all cells depend on, for their keys. Pictures count by prompts and seeds: the model makes the rest."""
    settings = bench.settings
    shared = ("drawing", "diversification", "gradients", "check", "evaluation_drawing")
    return {
        "code_version": CODE_VERSION,
        "model": bench.model.digest(),
        "judges": f"{judges} {bench.panel.clip.name}",
        "world": hashlib.sha256(bench.world.model_dump_json().encode()).hexdigest(),
        "pool": _asked(bench.pool),
        "evaluation_pictures": settings.evaluation_pictures,
        "check_passes": settings.check_passes,
        "count_cache": settings.count_cache,
        **{name: getattr(settings, name).model_dump(mode="json") for name in shared},
        # Only where it is tried: results of a benchmark without it stay what they are.
        **({"relearning": settings.relearning.model_dump(mode="json")} if settings.relearning else {}),
    }


def _asked(pictures: PictureSet) -> str:
    lines = [f"{prompt.text} {seed}" for prompt, seed in zip(pictures.prompts, pictures.seeds, strict=True)]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


class _Runner:
    """Runs one cell after the other. What a target's cells share is made when the first of them is missing."""

    def __init__(
        self,
        bench: Bench,
        judges: str,
        store: CellStore,
        bar: Progress,
        task: TaskID,
        report: Callable[[str], None] | None,
    ) -> None:
        self.bench, self.store, self.bar, self.task = bench, store, bar, task
        self.context = context_of(bench, judges)
        self.report = report or (lambda line: bar.console.print(line, highlight=False, markup=False, soft_wrap=True))
        self.materials: tuple[TargetEntry, Materials] | None = None
        self.judging: tuple[str, Judging] | None = None
        self.costs: dict[str, StepCost] = {}

    def run(self, cell: Cell) -> CellResult:
        """The stored result, that of the same run in the other comparison, or a new one."""
        started = time.perf_counter()
        key = self._key(cell)
        found = self.store.find(key) or self._same_run(cell, key)
        how = "already there" if found else ""
        if found is None:
            found = self._fresh(cell, key)
            how = f"{time.perf_counter() - started:.0f} s"
        self.store.put(found)
        self.bar.advance(self.task)
        done, total = int(self.bar.tasks[self.task].completed), int(self.bar.tasks[self.task].total or 0)
        self.report(f"[{done}/{total}] {described(found)} ({how})")
        return found.model_copy(update={"method": cell.entry.name})

    def _key(self, cell: Cell) -> str:
        return cell.key(self.bench.settings, self.context)

    def _same_run(self, cell: Cell, key: str) -> CellResult | None:
        """At equal budget: the run at equal forgetting, if that one was not stopped before its budget's end."""
        if cell.comparison != "equal_budget":
            return None
        twin = self.store.find(self._key(cell.model_copy(update={"comparison": "equal_forgetting"})))
        paced = self.bench.settings.unlearn_settings(cell.entry).pace is not None
        if twin is None or twin.stopped != "steps" or paced:
            return None
        return twin.model_copy(update={"comparison": cell.comparison, "key": key})

    def _fresh(self, cell: Cell, key: str) -> CellResult:
        materials = self._materials(cell.target)
        judging = self._judging(cell, materials)
        try:
            return run_cell(cell, key, self.bench, materials, judging, self._cost(cell, materials))
        except Exception as error:  # recorded, shown in the table, and fatal if it befalls every cell
            return result_of(cell, key, status="failed", error=f"{type(error).__name__}: {error}")

    def _materials(self, target: TargetEntry) -> Materials:
        if self.materials is None or self.materials[0] != target:
            self.costs = {}
            self.materials = (target, prepare(self.bench, target.resolve(self.bench.world)))
        return self.materials[1]

    def _judging(self, cell: Cell, materials: Materials) -> Judging:
        seed = self.bench.settings.judged_with(cell.seed)
        name = f"{cell.target.model_dump_json()} {cell.samples.model_dump_json()} {seed}"
        if self.judging is None or self.judging[0] != name:
            self.judging = (name, draw_judging(self.bench, materials.target, cell.samples, seed))
        return self.judging[1]

    def _cost(self, cell: Cell, materials: Materials) -> StepCost:
        name = cell.entry.model_dump_json()
        if name not in self.costs:
            self.costs[name] = step_cost(cell, self.bench, materials)
        return self.costs[name]


def described(result: CellResult) -> str:
    """A finished cell in one line."""
    rate = "to be measured" if result.learning_rate is None else f"{result.learning_rate:.3g}"
    name = f"{result.method} · {result.target} · seed {result.seed} · {result.comparison} · η {rate}"
    if result.status == "failed":
        return f"{name}: failed, {result.error}"
    ua, ra = (f"{100 * (each or 0):.1f} %" for each in (result.unlearning_accuracy, result.retain_accuracy))
    return f"{name}: UA {ua}, RA {ra}, {result.passes or 0:.0f} passes"
