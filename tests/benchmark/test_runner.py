"""Real runs on a tiny model: resumed, failing, tuned."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from expunge.benchmark.cell import CellResult
from expunge.benchmark.cell_store import CellStore
from expunge.benchmark.materials import Bench, WatchedCache, prepare
from expunge.benchmark.run_cell import StepCost, step_cost
from expunge.benchmark.runner import BenchmarkResults, run_benchmark
from expunge.errors import ExpungeError
from expunge.judges.panel import Panel
from tests.benchmark.bench import CAT, WORLD, made_cell, small
from tests.metrics.colour_judges import ColourClassifier, ColourClip, colour_panel


def with_(bench: Bench, **changed: object) -> Bench:
    return Bench(**{**vars(bench), **changed})


class FailsAt(ColourClassifier):
    """Looks at the pixels, but not the ``look``-th time."""

    def __init__(self, look: int, error: type[BaseException]) -> None:
        super().__init__("subject")
        self.looks, self.look, self.error = 0, look, error

    def recognise(self, pictures: np.ndarray) -> list[str]:
        self.looks += 1
        if self.looks == self.look:
            raise self.error("the judge is gone")
        return super().recognise(pictures)


def failing_panel(look: int, error: type[BaseException]) -> Panel:
    return Panel({**colour_panel().classifiers, "subject": FailsAt(look, error)}, ColourClip())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cells")


@pytest.fixture(scope="module")
def results(bench: Bench, folder: Path) -> BenchmarkResults:
    return run_benchmark(bench, "colours", folder)


def test_every_method_makes_the_passes_it_may_and_is_measured_in_full(results: BenchmarkResults) -> None:
    assert [(each.method, each.comparison) for each in results.cells] == [
        (method, comparison)
        for method in ("stepping_metric", "gradient_ascent")
        for comparison in ("equal_forgetting", "equal_budget")
    ]
    for cell in results.cells:
        assert cell.status == "done" and cell.passes is not None and cell.passes <= 6
        assert cell.retain_accuracy is not None and cell.retain_accuracy_before is not None
        change = cell.retain_accuracy - cell.retain_accuracy_before
        assert cell.retain_accuracy_change == pytest.approx(change)
        assert cell.frechet_ratio == pytest.approx(cell.frechet_distance / cell.frechet_distance_before)
        gap = cell.alignment_held_out_drop - cell.alignment_train_drop
        assert cell.alignment_gap == pytest.approx(gap)
        assert cell.peak_memory_mb > 50 and cell.seconds > 0 and cell.probe_rises is None
        assert cell.in_domain is not None and cell.cross_domain is not None


def test_the_cache_counts_for_the_method_that_reads_it(results: BenchmarkResults) -> None:
    ours, ascent = results.cells[1], results.cells[3]
    # 6 pictures to forget and 9 + 3 to retain, in batches of 16: two passes, and a step of ours takes two.
    assert (ours.cache_passes, ours.steps, ours.passes) == (2, 2, 6)
    assert (ascent.cache_passes, ascent.steps, ascent.passes) == (0, 6, 6)
    assert ours.broken_promises == 0 and ascent.broken_promises is None
    assert (ours.checks, ascent.checks) == (2, 3)
    assert [passes for passes, _ in ours.curve] == [0, 4, 6]
    assert [passes for passes, _ in ascent.curve] == [0, 2, 4, 6]


def test_a_second_run_computes_nothing(results: BenchmarkResults, bench: Bench, folder: Path) -> None:
    again, lines = with_(bench, panel=colour_panel()), []
    assert run_benchmark(again, "colours", folder, lines.append).cells == results.cells
    assert again.panel.clip.pictures_seen == 0
    assert len(lines) == 4 and all(line.endswith("(already there)") for line in lines)
    assert re.match(r"\[1/4\] stepping_metric · dog · seed 0 · equal_forgetting · η 0.001: UA .* 6 passes", lines[0])


def test_a_new_method_or_label_leaves_the_others_alone(bench: Bench, folder: Path, results: BenchmarkResults) -> None:
    entries = [{"method": "stepping_metric", "label": "ours"}, {"method": "retain_finetuning", "max_steps": 2}]
    lines: list[str] = []
    more = with_(bench, settings=small(methods=entries, compare_with="ours"))
    cells = run_benchmark(more, "colours", folder, lines.append).cells
    assert [line.endswith("(already there)") for line in lines] == [True, True, False, True]
    assert cells[0] == results.cells[0].model_copy(update={"method": "ours"})
    assert (cells[2].method, cells[2].steps, cells[2].passes) == ("retain_finetuning", 2, 2)


def test_a_run_that_was_not_stopped_early_stands_for_equal_budget_too(results: BenchmarkResults) -> None:
    for free, bound in (results.cells[:2], results.cells[2:]):
        assert free.stopped == bound.stopped == "steps" and free.key != bound.key
        same = {"key", "comparison"}
        assert free.model_dump(exclude=same) == bound.model_dump(exclude=same)


def test_at_equal_forgetting_a_run_stops_when_it_is_done_and_at_equal_budget_it_goes_on(
    bench: Bench, tmp_path: Path
) -> None:
    easy = small(
        methods=[{"method": "gradient_ascent"}],
        compare_with="gradient_ascent",
        unlearning={"stop_at": 1e-9, "forget_batch_size": 4, "pace": None, "learning_rate": 1e-4},
        check_passes=1,
        targets=[CAT],  # never drawn,
    )
    free, bound = run_benchmark(with_(bench, settings=easy), "colours", tmp_path).cells
    assert (free.stopped, free.steps) == ("forgotten", 2)
    assert (bound.stopped, bound.steps) == ("steps", 6)


def test_a_stopped_benchmark_goes_on_where_it_was(bench: Bench, tmp_path: Path, results: BenchmarkResults) -> None:
    # Two checks and an evaluation's two looks a run: the fifth look is in the second method's first check.
    with pytest.raises(KeyboardInterrupt):
        run_benchmark(with_(bench, panel=failing_panel(5, KeyboardInterrupt)), "colours", tmp_path)
    assert len(list(tmp_path.iterdir())) == 2
    lines: list[str] = []
    cells = run_benchmark(bench, "colours", tmp_path, lines.append).cells
    assert [line.endswith("(already there)") for line in lines] == [True, True, False, True]
    timed = {"seconds", "peak_memory_mb"}
    assert [each.model_dump(exclude=timed) for each in cells] == [
        each.model_dump(exclude=timed) for each in results.cells
    ]


def test_a_failed_cell_is_recorded_the_others_go_on_and_it_is_tried_again(bench: Bench, tmp_path: Path) -> None:
    torn = with_(bench, panel=failing_panel(1, RuntimeError), settings=small(comparisons={"equal_budget": 6}))
    first, second = run_benchmark(torn, "colours", tmp_path).cells
    assert (first.status, first.error, first.unlearning_accuracy) == ("failed", "RuntimeError: the judge is gone", None)
    assert second.status == "done"
    stored = [json.loads(path.read_text())["result"] for path in tmp_path.iterdir()]
    assert sorted(each["status"] for each in stored) == ["done", "failed"]
    lines: list[str] = []
    mended = run_benchmark(with_(torn, panel=colour_panel()), "colours", tmp_path, lines.append)
    assert [line.endswith("(already there)") for line in lines] == [False, True]
    assert all(each.status == "done" for each in mended.cells)


def test_a_benchmark_of_nothing_but_failures_fails(bench: Bench, tmp_path: Path) -> None:
    one = small(methods=[{"method": "stepping_metric"}], comparisons={"equal_budget": 6})
    torn = with_(bench, panel=failing_panel(1, RuntimeError), settings=one)
    with pytest.raises(ExpungeError, match="every cell .* RuntimeError: the judge is gone"):
        run_benchmark(torn, "colours", tmp_path)


def test_an_unknown_target_is_refused_before_any_work(bench: Bench, tmp_path: Path) -> None:
    unknown = with_(bench, settings=small(targets=[CAT, {"kind": "style", "name": "cubist"}]))
    with pytest.raises(ExpungeError, match="cubist"):
        run_benchmark(unknown, "colours", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_tuning_tries_every_rate_on_its_own_target_and_the_cells_take_the_chosen_one(
    bench: Bench, tmp_path: Path
) -> None:
    tuning = {"targets": [CAT], "seed": 9, "learning_rates": [1e-5, 1e-2], "comparison": "equal_budget",
              "evaluation": {"target_pictures": 4, "retain_pictures": 6, "train_pictures": 5}}  # fmt: skip
    entries = [{"method": "stepping_metric"}, {"method": "gradient_ascent", "learning_rate": 5e-4}]
    settings = small(methods=entries, comparisons={"equal_budget": 4}, tuning=tuning)
    lines: list[str] = []
    found = run_benchmark(with_(bench, settings=settings), "colours", tmp_path, lines.append)
    assert [(each.method, each.learning_rate) for each in found.tuning] == [
        ("stepping_metric", 1e-5),
        ("stepping_metric", 1e-2),
    ]
    (chosen,) = [each.learning_rate for each in found.tuning if each.chosen]
    assert [each.learning_rate for each in found.cells] == [chosen, 5e-4]
    assert sum("cat · seed 9" in line for line in lines) == 2 and lines[-1].startswith("[4/4]")


def test_relearning_is_tried_on_a_copy_of_each_compared_model_and_changes_nothing_else(
    bench: Bench, tmp_path: Path, results: BenchmarkResults
) -> None:
    how = {"pictures": [2], "harmless_pictures": 0, "steps": 2, "measure_every": 1, "batch_size": 2, "measured": 4}
    tuning = {"targets": [CAT], "seed": 9, "learning_rates": [1e-3], "comparison": "equal_budget",
              "evaluation": {"target_pictures": 4, "retain_pictures": 6, "train_pictures": 5}}  # fmt: skip
    settings = small(comparisons={"equal_budget": 6}, relearning=how, tuning=tuning)
    found = run_benchmark(with_(bench, settings=settings), "colours", tmp_path).cells
    for cell, plain in zip(found, results.cells[1::2], strict=True):
        assert cell.relearned is not None and 0 <= cell.relearned <= 1 and plain.relearned is None
        assert cell.key != plain.key and cell.alignment_held_out_drop == plain.alignment_held_out_drop
    stored = [json.loads(path.read_text())["result"] for path in tmp_path.iterdir()]
    assert sorted((each["seed"], each["relearned"] is None) for each in stored) == [(0, False)] * 2 + [(9, True)] * 2


def test_a_probed_cell_measures_every_step_and_its_seconds_are_left_out(bench: Bench, tmp_path: Path) -> None:
    settings = small(
        methods=[{"method": "stepping_metric"}], comparisons={"equal_budget": 6}, seeds=[0, 1], probed_seeds=[1]
    )
    plain, probed = run_benchmark(with_(bench, settings=settings), "colours", tmp_path).cells
    assert plain.probe_rises is None and plain.seconds is not None
    assert probed.probe_rises is not None and 0 <= probed.probe_rises <= 1 and probed.seconds is None


def test_a_probe_changes_nothing_about_the_run(bench: Bench, tmp_path: Path, results: BenchmarkResults) -> None:
    settings = small(methods=[{"method": "stepping_metric"}], comparisons={"equal_budget": 6}, probed_seeds=[0])
    (probed,) = run_benchmark(with_(bench, settings=settings), "colours", tmp_path).cells
    plain = results.cells[1]
    assert probed.alignment_held_out_drop == plain.alignment_held_out_drop
    assert probed.curve == plain.curve


def test_materials_know_what_they_and_a_step_cost(bench: Bench) -> None:
    target = bench.settings.targets[0].resolve(WORLD)
    materials = prepare(bench, target)
    assert materials.cache_passes == 2 and materials.cache_seconds > 0
    assert step_cost(made_cell(), bench, materials) == StepCost(0, 2, True)
    ascent = made_cell(entry={"method": "gradient_ascent"})
    assert step_cost(ascent, bench, materials) == StepCost(0, 1, False)
    cold = made_cell(entry={"method": "stepping_metric", "options": {"warm_start": "none"}})
    assert not step_cost(cold, bench, materials).reads_cache


def test_a_watched_cache_is_the_cache(bench: Bench) -> None:
    cache = prepare(bench, bench.settings.targets[0].resolve(WORLD)).cache
    watched = WatchedCache(cache)
    assert watched.key == cache.key and not watched.read
    assert watched.retain is cache.retain and watched.read


@pytest.mark.parametrize(
    ("cost", "budget", "steps"),
    [
        (StepCost(0, 2, False), 10, 5),
        (StepCost(0, 7, False), 10, 1),
        (StepCost(4, 2, False), 10, 3),
        (StepCost(0, 4 / 3, False), 8, 6),
        (StepCost(0, 0, False), 10, 10),
        (StepCost(0, 20, False), 10, 1),
    ],
)
def test_steps_that_a_budget_allows(cost: StepCost, budget: float, steps: int) -> None:
    assert cost.steps_for(budget) == steps


def test_a_torn_result_is_named(tmp_path: Path, results: BenchmarkResults) -> None:
    store, result = CellStore(tmp_path), results.cells[0]
    store.put(result)
    assert store.find(result.key) == result and isinstance(store.find(result.key), CellResult)
    path = store.path(result.key)
    path.write_text(path.read_text()[:100])
    with pytest.raises(ExpungeError, match="remove the file to run the cell again"):
        store.find(result.key)
    assert store.find("f" * 64) is None
