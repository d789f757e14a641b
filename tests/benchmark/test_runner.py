"""Real runs on a tiny model: resumed, failing, tuned."""

import json
import re
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from expunge.benchmark.bench import Bench, Materials
from expunge.benchmark.cell import CellResult
from expunge.benchmark.columns import COLUMNS
from expunge.benchmark.result_store import measuring_code
from expunge.benchmark.run_cell import StepCost, step_cost
from expunge.benchmark.runner import BenchmarkResults, run_benchmark
from expunge.case import Case
from expunge.errors import ExpungeError
from expunge.judges.panel import Panel
from expunge.pictures.picture_set import PictureSet
from expunge.unlearning.job import unlearn_model
from expunge.unlearning.methods import method_names
from expunge.unlearning.training_sets import TrainingSets
from expunge.unlearning.unlearn_settings import ForgetSettings
from tests.benchmark.bench import CAT, SMALL, WORLD, made_cell, small
from tests.metrics.colour_judges import ColourClassifier, ColourClip, colour_panel


def judged_by(bench: Bench, panel: Panel, **changed: object) -> Bench:
    """The same bench, with judges that have the digest of the colour judges."""
    return replace(bench, case=Case.of(WORLD, panel, bench.case.drawing), **changed)


class FailsAt(ColourClassifier):
    """Looks at the pixels, but not the ``look``-th time."""

    def __init__(self, look: int, error: type[BaseException]) -> None:
        super().__init__("subject")
        self.looks, self.look, self.error = 0, look, error

    def digest(self) -> str:
        return ColourClassifier(self.factor).digest()  # so that its results count as the others'

    def recognise(self, pictures: np.ndarray) -> list[str]:
        self.looks += 1
        if self.looks == self.look:
            raise self.error("the judge is gone")
        return super().recognise(pictures)


def failing_panel(look: int, error: type[BaseException]) -> Panel:
    return Panel({**colour_panel().classifiers, "subject": FailsAt(look, error)}, ColourClip())


def stored(folder: Path) -> list[dict]:
    return [json.loads(path.read_text(encoding="utf-8"))["result"] for path in (folder / "cells").iterdir()]


def untimed(result: CellResult) -> dict:
    numbers = {name: value for name, value in result.numbers.items() if name not in ("seconds", "peak_memory_mb")}
    return result.model_dump() | {"numbers": numbers}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cells")


@pytest.fixture(scope="module")
def results(bench: Bench, folder: Path) -> BenchmarkResults:
    return run_benchmark(bench, folder)


def test_every_method_makes_the_passes_it_may_and_is_measured_in_full(results: BenchmarkResults) -> None:
    assert [(each.method, each.comparison) for each in results.cells] == [
        (method, comparison)
        for method in ("stepping_metric", "gradient_ascent")
        for comparison in ("equal_forgetting", "equal_budget")
    ]
    for cell in results.cells:
        after, before = cell.numbers, cell.before
        assert cell.status == "done" and after["passes"] <= 6
        assert after.keys() >= before.keys() >= {"unlearning_accuracy", "retain_accuracy", "in_domain", "cross_domain"}
        assert after["frechet_ratio"] == pytest.approx(after["frechet_distance"] / before["frechet_distance"])
        lost = {name: before[name] - after[name] for name in ("alignment_held_out", "alignment_train")}
        assert after["alignment_gap"] == pytest.approx(lost["alignment_held_out"] - lost["alignment_train"])
        assert after["peak_memory_mb"] > 50 and after["seconds"] > 0 and "probe_rises" not in after
        assert set(after) <= set(COLUMNS)


def test_the_cache_counts_for_the_method_that_reads_it(results: BenchmarkResults) -> None:
    ours, ascent = results.cells[1], results.cells[3]
    # 6 pictures to forget and 9 + 3 to retain, in batches of 16: two passes, and a step of ours takes two.
    assert [ours.numbers[name] for name in ("cache_passes", "steps", "passes", "checks")] == [2, 2, 6, 2]
    assert [ascent.numbers[name] for name in ("cache_passes", "steps", "passes", "checks")] == [0, 6, 6, 3]
    assert (ours.check_every, ascent.check_every) == (1, 2)
    assert 0 <= ours.numbers["raised"] <= 1 and "raised" not in ascent.numbers
    assert [passes for passes, _ in ours.curve] == [0, 4, 6]
    assert [passes for passes, _ in ascent.curve] == [0, 2, 4, 6]


def test_a_second_run_computes_nothing(results: BenchmarkResults, bench: Bench, folder: Path) -> None:
    again, lines = judged_by(bench, colour_panel()), []
    assert run_benchmark(again, folder, lines.append).cells == results.cells
    assert again.case.panel().clip.pictures_seen == 0
    assert len(lines) == 4 and all(line.endswith("(already there)") for line in lines)
    assert re.match(r"\[1/4\] stepping_metric · dog · seed 0 · equal_forgetting · η 0.001: UA .* 6 passes", lines[0])


def test_a_new_method_or_label_leaves_the_others_alone(bench: Bench, folder: Path, results: BenchmarkResults) -> None:
    ours = small().methods[0].model_dump() | {"label": "ours"}
    entries = [ours, {"method": "retain_finetuning", "max_steps": 2}]
    lines: list[str] = []
    more = replace(bench, settings=small(methods=entries, compare_with="ours"))
    cells = run_benchmark(more, folder, lines.append).cells
    assert [line.endswith("(already there)") for line in lines] == [True, True, False, True]
    assert cells[0] == results.cells[0].model_copy(update={"method": "ours"})
    assert (cells[2].method, cells[2].numbers["steps"], cells[2].numbers["passes"]) == ("retain_finetuning", 2, 2)


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
    free, bound = run_benchmark(replace(bench, settings=easy), tmp_path).cells
    assert (free.stopped, free.numbers["steps"]) == ("forgotten", 2)
    assert (bound.stopped, bound.numbers["steps"]) == ("steps", 6)


def test_a_stopped_benchmark_goes_on_where_it_was(bench: Bench, tmp_path: Path, results: BenchmarkResults) -> None:
    def stop_at_the_third(line: str) -> None:
        if line.startswith("[3/4]"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_benchmark(bench, tmp_path, stop_at_the_third)
    (tmp_path / "cells" / f"{results.cells[2].key[:24]}.json").unlink()  # as if it had been in the middle of it
    assert len(stored(tmp_path)) == 2
    lines: list[str] = []
    cells = run_benchmark(bench, tmp_path, lines.append).cells
    assert [line.endswith("(already there)") for line in lines] == [True, True, False, True]
    assert [untimed(each) for each in cells] == [untimed(each) for each in results.cells]


def test_a_failed_cell_is_recorded_the_others_go_on_and_it_is_tried_again(bench: Bench, tmp_path: Path) -> None:
    torn = judged_by(bench, failing_panel(1, RuntimeError), settings=small(comparisons={"equal_budget": 6}))
    first, second = run_benchmark(torn, tmp_path).cells
    assert (first.status, first.error, first.numbers) == ("failed", "RuntimeError: the judge is gone", {})
    assert second.status == "done"
    assert sorted(each["status"] for each in stored(tmp_path)) == ["done", "failed"]
    lines: list[str] = []
    mended = run_benchmark(judged_by(torn, colour_panel()), tmp_path, lines.append)
    assert [line.endswith("(already there)") for line in lines] == [False, True]
    assert all(each.status == "done" for each in mended.cells)


def test_a_benchmark_of_nothing_but_failures_fails(bench: Bench, tmp_path: Path) -> None:
    one = small(methods=[{"method": "stepping_metric"}], comparisons={"equal_budget": 6})
    torn = judged_by(bench, failing_panel(1, RuntimeError), settings=one)
    with pytest.raises(ExpungeError, match="every cell .* RuntimeError: the judge is gone"):
        run_benchmark(torn, tmp_path)


def test_an_unknown_target_is_refused_before_any_work(bench: Bench, tmp_path: Path) -> None:
    unknown = replace(bench, settings=small(targets=[CAT, {"kind": "style", "name": "cubist"}]))
    with pytest.raises(ExpungeError, match="cubist"):
        run_benchmark(unknown, tmp_path)
    assert list(tmp_path.iterdir()) == []


NO_ROOM = {"null_space_editing": "leaves no direction"}  # the few tokens of so small a model span everything


@pytest.mark.parametrize("name", method_names())
def test_methods_say_whether_they_read_the_cached_gradients(name: str, bench: Bench) -> None:
    """What they say is what happens: without a cache those that read it refuse, and the others do not mind."""
    settings = small(methods=[{"method": name}], compare_with=name)
    how = settings.unlearn_settings(settings.entries[0])
    model = bench.model.with_own_denoiser()
    forget = bench.pool.where(lambda prompt: prompt.factors["subject"] == "dog")
    paired = PictureSet(
        tuple(prompt.model_copy(update={"paired": prompt.text}) for prompt in forget.prompts),
        forget.seeds,
        forget.pictures,
    )
    sets = TrainingSets(paired, bench.pool, None)
    case = bench.case.about([settings.targets[0].resolve(WORLD)])
    one_step = how.model_copy(update={"steps": 1, "stop_at": None})
    wanted = "cache" if how.uses_cache else NO_ROOM.get(name, "")
    with pytest.raises(ExpungeError, match=wanted) if wanted else nullcontext():
        unlearn_model(model, sets, case, one_step, settings.check)


def test_tuning_tries_every_rate_on_its_own_target_and_the_cells_take_the_chosen_one(
    bench: Bench, tmp_path: Path
) -> None:
    tuning = {"targets": [CAT], "seed": 9, "learning_rates": [1e-5, 1e-2], "comparison": "equal_budget",
              "evaluation": SMALL["evaluation"]}  # fmt: skip
    entries = [{"method": "stepping_metric"}, {"method": "gradient_ascent", "learning_rate": 5e-4}]
    settings = small(methods=entries, comparisons={"equal_budget": 4}, tuning=tuning)
    lines: list[str] = []
    found = run_benchmark(replace(bench, settings=settings), tmp_path, lines.append)
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
              "evaluation": SMALL["evaluation"]}  # fmt: skip
    settings = small(comparisons={"equal_budget": 6}, relearning=how, tuning=tuning)
    found = run_benchmark(replace(bench, settings=settings), tmp_path).cells
    for cell, plain in zip(found, results.cells[1::2], strict=True):
        assert 0 <= cell.numbers["relearned"] <= 1 and "relearned" not in plain.numbers
        assert cell.key != plain.key and cell.numbers["alignment_held_out"] == plain.numbers["alignment_held_out"]
    tried = sorted((each["seed"], "relearned" in each["numbers"]) for each in stored(tmp_path))
    assert tried == [(0, True)] * 2 + [(9, False)] * 2


def test_results_of_other_code_are_measured_again_unless_they_are_to_be_kept(
    bench: Bench, folder: Path, results: BenchmarkResults, tmp_path: Path
) -> None:
    for path in (folder / "cells").iterdir():
        old = json.loads(path.read_text(encoding="utf-8"))
        old["result"]["code"] = "of old"
        (tmp_path / "cells").mkdir(exist_ok=True)
        (tmp_path / "cells" / path.name).write_text(json.dumps(old), encoding="utf-8")
    lines: list[str] = []
    kept = run_benchmark(replace(bench, settings=small(keep=True)), tmp_path, lines.append)
    assert all(line.endswith("(already there)") for line in lines) and kept.facts["measured by code"] == "of old"
    again = run_benchmark(bench, tmp_path, lines.append)
    assert [line.endswith("(already there)") for line in lines[4:]] == [False, True, False, True]  # each budget's twin
    assert {each.code for each in again.cells} == {measuring_code()}


def test_materials_know_what_they_and_a_step_cost(bench: Bench) -> None:
    materials = Materials.of(bench, bench.settings.targets[0].resolve(WORLD))
    forgetting = ForgetSettings(losses={"truncated": 1.0})
    cached = materials.cached(forgetting)
    assert cached.passes == 2 and cached.seconds > 0 and materials.cached(forgetting) is cached
    anchored, truncated = (
        step_cost(made_cell(entry={"method": "stepping_metric", "unlearning": each}), bench, materials)
        for each in ({}, {"forget": {"truncated": 1.0}})
    )
    assert truncated == StepCost(0, 2) and anchored.passes == pytest.approx(2 + 2 / 3)
    assert step_cost(made_cell(entry={"method": "gradient_ascent"}), bench, materials) == StepCost(0, 1)


@pytest.mark.parametrize(
    ("cost", "budget", "steps"),
    [
        (StepCost(0, 2), 10, 5),
        (StepCost(0, 7), 10, 1),
        (StepCost(4, 2), 10, 3),
        (StepCost(0, 4 / 3), 8, 6),
        (StepCost(0, 0), 10, 10),
        (StepCost(0, 20), 10, 1),
    ],
)
def test_steps_that_a_budget_allows(cost: StepCost, budget: float, steps: int) -> None:
    assert cost.steps_for(budget) == steps
