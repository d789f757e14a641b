"""Run a benchmark: tune, then every method on every target with every seed. What is done already is not done again."""

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict
from rich.progress import Progress

from expunge.benchmark.bench import Bench, Materials
from expunge.benchmark.benchmark_settings import BenchmarkSettings, Comparison, MethodEntry, TargetEntry
from expunge.benchmark.cell import Cell, CellResult, result_of
from expunge.benchmark.machine import command, machine
from expunge.benchmark.result_store import ResultStore, measuring_code
from expunge.benchmark.run_cell import StepCost, run_cell, step_cost
from expunge.benchmark.tuning import TunedRate, choose_rates
from expunge.errors import ExpungeError
from expunge.pictures.picture_store import PictureStore
from expunge.progress import progress_bar


class BenchmarkResults(BaseModel):
    """Everything that the table is made of.

    Attributes:
        settings: of the benchmark.
        cells: results, failed ones too.
        tuning: what was tried and what was chosen; empty without tuning.
        facts: model, code, command and machine.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    settings: BenchmarkSettings
    cells: tuple[CellResult, ...]
    tuning: tuple[TunedRate, ...]
    facts: dict[str, str]


def run_benchmark(bench: Bench, folder: Path, report: Callable[[str], None] | None = None) -> BenchmarkResults:
    """Run all cells that the folder does not hold yet. A cell that fails is recorded and the others go on.

    Args:
        bench: model, data, judges and settings.
        folder: where results are kept, in ``cells``, and the pictures that they rest on, in ``pictures``; these may be
            removed at any time.
        report: given a line for each finished cell; None prints it.

    Raises:
        ExpungeError: a target is unknown, a stored result is broken, or every cell failed.
    """
    settings = bench.settings
    for each in (*settings.targets, *(settings.tuning.targets if settings.tuning else ())):
        each.resolve(bench.case.world)
    tuning_cells = list(_tuning_cells(settings))
    total = len(tuning_cells) + len(list(_cells(settings, {})))
    with progress_bar() as bar:
        runner = _Runner(bench, folder, _Reporter(bar, total, report))
        tuning = _tuned(runner, tuning_cells)
        results = [runner.run(cell) for cell in _cells(settings, _chosen(tuning))]
    if all(each.status == "failed" for each in results):
        raise ExpungeError(f"every cell of the benchmark failed; the first with: {results[0].error}")
    facts = {
        "model": bench.model.digest()[:16],
        "judges": bench.case.judges,
        "measured by code": ", ".join(sorted({each.code[:12] for each in results})),
        "command": command(),
        **machine(),
    }
    return BenchmarkResults(settings=settings, cells=tuple(results), tuning=tuple(tuning), facts=facts)


def tuned_rates(bench: Bench, folder: Path, report: Callable[[str], None] | None = None) -> dict[str, float]:
    """The learning rates that tuning chooses, by label, for those who run the cells in another way. Arguments are as in
    `run_benchmark`, whose folder may be shared."""
    cells = list(_tuning_cells(bench.settings))
    with progress_bar() as bar:
        return _chosen(_tuned(_Runner(bench, folder, _Reporter(bar, len(cells), report)), cells))


def _tuned(runner: "_Runner", cells: Sequence[Cell]) -> list[TunedRate]:
    how = runner.bench.settings.tuning
    return choose_rates([runner.run(cell) for cell in cells], how.unlearning_accuracy_at_least) if how else []


def _chosen(tuning: Sequence[TunedRate]) -> dict[str, float]:
    return {each.method: each.learning_rate for each in tuning if each.chosen}


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
                    judged_by=settings.judged_by(settings.tuning.evaluation, settings.tuning.seed),
                )


def _cells(settings: BenchmarkSettings, rates: dict[str, float]) -> Iterator[Cell]:
    # Equal forgetting first: a run that was not stopped early is a run at equal budget too.
    comparisons = sorted(settings.comparisons.items(), key=lambda each: each[0] != "equal_forgetting")
    for target in settings.targets:
        for seed in settings.seeds:
            for entry in settings.entries:
                for comparison, _ in comparisons:
                    yield cell_of(settings, entry, target, seed, comparison, rates)


def cell_of(
    settings: BenchmarkSettings,
    entry: MethodEntry,
    target: TargetEntry,
    seed: int,
    comparison: Comparison,
    tuned: dict[str, float],
) -> Cell:
    """A cell of the benchmark: one of its rows, targets and comparisons, with the rates that tuning chose, by label."""
    return Cell(
        entry=entry,
        target=target,
        seed=seed,
        comparison=comparison,
        passes=settings.comparisons[comparison],
        learning_rate=learning_rate(settings, entry, tuned),
        judged_by=settings.judged_by(settings.evaluation, seed),
    )


def learning_rate(settings: BenchmarkSettings, entry: MethodEntry, tuned: dict[str, float]) -> float | None:
    """The entry's own, else the tuned one, else the one all share; None where it is to be measured."""
    if entry.learning_rate == "measured":
        return None
    return entry.learning_rate or tuned.get(entry.name) or settings.unlearn_settings(entry).learning_rate


def context_of(bench: Bench) -> dict[str, object]:
    """What all cells depend on, for their keys. The pool follows from it."""
    settings = bench.settings
    shared = ("drawing", "diversification", "gradients", "check", "relearning")
    return {
        "model": bench.model.digest(),
        "case": bench.case.digest(),
        "check_passes": settings.check_passes,
        "count_cache": settings.count_cache,
        **{name: value.model_dump(mode="json") for name in shared if (value := getattr(settings, name)) is not None},
    }


class _Reporter:
    """Counts cells and says what became of each."""

    def __init__(self, bar: Progress, total: int, report: Callable[[str], None] | None) -> None:
        self.bar, self.done, self.total = bar, 0, total
        self.task = bar.add_task("benchmark", total=total, note="")
        self.report = report or (lambda line: bar.console.print(line, highlight=False, markup=False, soft_wrap=True))

    def finished(self, result: CellResult, how: str) -> None:
        self.done += 1
        self.bar.advance(self.task)
        self.report(f"[{self.done}/{self.total}] {described(result)} ({how})")


class _Runner:
    """Runs one cell after the other. What a target's cells share is made when the first of them is missing."""

    def __init__(self, bench: Bench, folder: Path, reporter: _Reporter) -> None:
        self.bench, self.reporter, self.context = bench, reporter, context_of(bench)
        self.store = ResultStore(folder / "cells", CellResult, bench.settings.keep)
        self.pictures = PictureStore(folder / "pictures")
        self.materials: tuple[TargetEntry, Materials] | None = None
        self.costs: dict[str, StepCost] = {}

    def run(self, cell: Cell) -> CellResult:
        """The stored result, that of the same run in the other comparison, or a new one."""
        started, key = time.perf_counter(), cell.key(self.bench.settings, self.context)
        found, how = self._stored(key) or self._same_run(cell, key), "already there"
        if found is None:
            found = self._fresh(cell, key)
            how = f"{time.perf_counter() - started:.0f} s"
        self.store.put(key[:24], found)
        self.reporter.finished(found, how)
        return found.model_copy(update={"method": cell.entry.name})

    def _stored(self, key: str) -> CellResult | None:
        """None if it failed: a failed cell is tried again."""
        found = self.store.find(key[:24], key)
        return found if found and found.status == "done" else None

    def _same_run(self, cell: Cell, key: str) -> CellResult | None:
        """At equal budget: the run at equal forgetting, if that one was not stopped before its budget's end."""
        settings = self.bench.settings
        if cell.comparison != "equal_budget" or settings.unlearn_settings(cell.entry).pace is not None:
            return None
        twin = self._stored(cell.model_copy(update={"comparison": "equal_forgetting"}).key(settings, self.context))
        if twin is None or twin.stopped != "steps":
            return None
        return twin.model_copy(update={"comparison": cell.comparison, "key": key})

    def _fresh(self, cell: Cell, key: str) -> CellResult:
        materials = self._materials(cell.target)
        try:
            found = run_cell(cell, self.bench, materials, self.pictures, self._cost(cell, materials))
        except Exception as error:  # recorded, shown in the table, and fatal if it befalls every cell
            found = {"status": "failed", "error": f"{type(error).__name__}: {error}"}
        return result_of(cell, key, measuring_code(), **found)

    def _materials(self, target: TargetEntry) -> Materials:
        if self.materials is None or self.materials[0] != target:
            self.costs = {}
            self.materials = (target, Materials.of(self.bench, target.resolve(self.bench.case.world)))
        return self.materials[1]

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
    ua, ra = (f"{100 * result.numbers[each]:.1f} %" for each in ("unlearning_accuracy", "retain_accuracy"))
    return f"{name}: UA {ua}, RA {ra}, {result.numbers['passes']:.0f} passes"
