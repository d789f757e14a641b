"""The table's numbers against ones worked out by hand, and what is said about them."""

import math

import numpy as np
import pandas as pd
import pytest

from expunge.benchmark.cell import CellResult
from expunge.benchmark.columns import COLUMNS
from expunge.benchmark.run_cell import forgetting_curve, probe_rises, raised
from expunge.benchmark.runner import BenchmarkResults
from expunge.benchmark.spread import mean_over_targets
from expunge.benchmark.table import BASE, failures, quantities_in, tabulate, written
from expunge.benchmark.table_notes import notes
from expunge.comeback.relearning import RelearningSettings
from expunge.unlearning.trace import Trace, TraceRow
from tests.benchmark.bench import CAT, DOG, result_maker, small

T3 = 3.182446305284263  # t of 3 degrees of freedom, 97.5 %
T1 = 12.706204736432095  # of 1


def test_the_mean_is_that_of_the_targets_and_its_interval_is_ts() -> None:
    # Means of the targets: 1, 2, 3, 6; mean 3, standard deviation √(14/3), standard error √(14/12).
    values, targets = [0.0, 2.0, 2.0, 3.0, 6.0], ["a", "a", "b", "c", "d"]
    found = mean_over_targets(values, targets)
    half = T3 * math.sqrt(14 / 12)
    assert found is not None and (found.value, found.samples) == (3.0, 5)
    assert (found.low, found.high) == (pytest.approx(3 - half), pytest.approx(3 + half))


def test_an_interval_is_cut_at_what_is_possible() -> None:
    found = mean_over_targets([0.9, 1.0], ["a", "b"], (0.0, 1.0))
    assert found is not None and (found.value, found.low, found.high) == (
        pytest.approx(0.95),
        pytest.approx(0.31469),
        1,
    )


def test_with_one_target_the_seeds_are_the_sample_and_of_one_cell_no_spread_is_known() -> None:
    two = mean_over_targets([1.0, 3.0], ["a", "a"])
    assert two is not None and two.high == pytest.approx(2 + T1)
    one = mean_over_targets([1.0], ["a"])
    assert one is not None and one.value == 1 and math.isnan(one.low) and math.isnan(one.high)
    assert mean_over_targets([], []) is None


def test_an_interval_holds_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    targets = [name for name in "abcd" for _ in range(3)]
    held = 0
    for _ in range(500):
        values = np.repeat(rng.normal(0, 1, 4), 3) + rng.normal(0, 0.3, 12)
        found = mean_over_targets(values.tolist(), targets)
        held += found is not None and found.low <= 0 <= found.high
    assert 0.92 <= held / 500 <= 0.98


@pytest.fixture
def results() -> BenchmarkResults:
    make = result_maker()
    cells: list[CellResult] = []
    for target, ours, theirs in (("cat", (0.9, 1.0), (0.6, 0.7)), ("dog", (1.0, 1.0), (0.9, 0.9))):
        for seed in (0, 1):
            known = {"unlearning_accuracy_before": 0.1, "retain_accuracy_before": 0.8}
            numbers = {"unlearning_accuracy": ours[seed], "retain_accuracy": 0.5 + 0.1 * seed, "passes": 10} | known
            timed = {"seconds": 20.0, "probe_rises": 0.5} if seed == 0 else {}
            cells.append(make("stepping_metric", target, seed, **timed, **numbers))
            numbers |= {"unlearning_accuracy": theirs[seed], "retain_accuracy": 0.5 + 0.1 * seed, "passes": 90}
            cells.append(make("RGD", target, seed, seconds=30.0, **numbers))
    cells.append(make("RGD", "cat", 2, status="failed", error="ExpungeError: <b>step 3</b>: not | finite"))
    settings = small(
        methods=[{"method": "stepping_metric"}, {"method": "gradient_ascent", "label": "RGD"}],
        targets=[CAT, DOG],
        seeds=[0, 1, 2],
        comparisons={"equal_budget": 90},
    )
    return BenchmarkResults(settings=settings, cells=tuple(cells), tuning=(), facts={"date": "2026-11-24"})


def row(table: pd.DataFrame, method: str, quantity: str) -> pd.Series:
    ((_, found),) = table[(table["method"] == method) & (table["quantity"] == quantity)].iterrows()
    return found


def test_means_and_paired_differences_are_those_worked_out_by_hand(results: BenchmarkResults) -> None:
    table = tabulate(results)
    ours = row(table, "stepping_metric", "unlearning_accuracy")
    # Targets' means 0.95 and 1: mean 0.975, half width t₁ · 0.025.
    assert (ours["mean"], ours["mean_low"], ours["mean_high"]) == (
        pytest.approx(0.975),
        pytest.approx(0.975 - T1 * 0.025),
        1,
    )
    assert (ours["worst_target"], ours["cells"], ours["targets"]) == (pytest.approx(0.95), 4, 2)
    assert math.isnan(ours["difference"])
    theirs = row(table, "RGD", "unlearning_accuracy")
    # Differences −0.3, −0.3 (cat) and −0.1, −0.1 (dog): mean −0.2, half width t₁ · 0.1.
    assert (theirs["difference"], theirs["pairs"], theirs["failed"]) == (pytest.approx(-0.2), 4, 1)
    assert theirs["difference_low"] == pytest.approx(-0.2 - T1 * 0.1) and theirs["verdict"] == "not decided"
    passes = row(table, "RGD", "passes")
    assert (passes["mean"], passes["difference"], passes["verdict"]) == (90, 80, "higher")
    assert row(table, "RGD", "retain_accuracy")["difference"] == 0


def test_what_was_not_measured_is_left_out_of_means_and_pairs(results: BenchmarkResults) -> None:
    table = tabulate(results)
    assert row(table, "stepping_metric", "seconds")["cells"] == 2
    assert row(table, "RGD", "seconds")["pairs"] == 2
    missing = row(table, "RGD", "probe_rises")
    assert missing["cells"] == 0 and math.isnan(missing["mean"]) and pd.isna(missing["verdict"])


def test_the_base_model_is_a_row_and_every_method_has_every_quantity(results: BenchmarkResults) -> None:
    table = tabulate(results)
    assert row(table, BASE, "unlearning_accuracy")["mean"] == pytest.approx(0.1)
    assert row(table, BASE, "retain_accuracy")["mean"] == pytest.approx(0.8)
    measured = [quantity.name for quantity in quantities_in(results.cells)]
    assert list(table[table["method"] == "RGD"]["quantity"]) == measured
    assert set(measured) == {name for cell in results.cells for name in cell.numbers}


def test_changes_are_against_the_base_model_cell_by_cell(results: BenchmarkResults) -> None:
    ours = row(tabulate(results), "stepping_metric", "unlearning_accuracy")
    gained = {"cat": [], "dog": []}
    for cell in results.cells:
        if cell.method == "stepping_metric":
            gained[cell.target].append(cell.numbers["unlearning_accuracy"] - cell.before["unlearning_accuracy"])
    assert ours["change"] == pytest.approx(np.mean([np.mean(each) for each in gained.values()]))


def test_failures_and_notes_are_said(results: BenchmarkResults) -> None:
    assert failures(results) == ["RGD, cat, seed 2, equal_budget: ExpungeError: <b>step 3</b>: not | finite"]
    said = " ".join(notes(results))
    assert "relearned" not in said
    relearning = {"pictures": [5], "harmless_pictures": 0}
    settings = results.settings.model_copy(update={"relearning": RelearningSettings.model_validate(relearning)})
    assert "on 5 pictures of the forget set" in " ".join(notes(results.model_copy(update={"settings": settings})))
    assert "90 passes for every row" in said and "object cat, object dog" in said and "12 held-out" in said


def test_numbers_are_written_as_people_read_them() -> None:
    share, passes = COLUMNS["unlearning_accuracy"], COLUMNS["passes"]
    assert written(share, 0.9751, 0.95, 1.0) == ("97.5\u00a0%", "95.0–100.0")
    assert written(share, -0.2, -0.3, -0.1, signed=True) == ("−20.0\u00a0points", "−30.0 to −10.0")
    assert written(passes, 90.0) == ("90", "")
    assert written(share, math.nan) == ("–", "")


def trace_row(step: int, **found: object) -> TraceRow:
    plain = dict.fromkeys(("forget_loss", "retain_loss", "cosine"), 0.0) | {
        "conflict": False,
        "passes": 2,
        "seconds": 1,
    }
    plain |= dict.fromkeys(("forget_coefficient", "retain_coefficient"), 1.0)
    plain |= dict.fromkeys(("change_forget", "change_retain"), -1.0)
    return TraceRow.model_validate({**plain, "step": step, **found})


def test_broken_promises_are_counted_over_steps_that_knew_both_changes() -> None:
    rows = [
        trace_row(1),
        trace_row(2, change_forget=0.1),
        trace_row(3, change_retain=math.nan),
        trace_row(4, change_retain=0.0),
        trace_row(5, change_forget=None),
    ]
    changes = [(row.change_forget, row.change_retain) for row in rows]
    assert raised(changes) == 0.5
    assert raised(changes[4:]) is None


def test_rises_on_the_probe_are_counted_from_the_base_model_on() -> None:
    losses = [(-0.2, 1.0), (-0.3, 1.1), (None, None), (-0.3, 1.1), (-0.2, 1.0)]
    rows = [trace_row(i, probe_forget=f, probe_retain=r) for i, (f, r) in enumerate(losses, 1)]
    trace = Trace(rows=tuple(rows), stopped="steps", probe_forget_start=-0.1, probe_retain_start=1.0)
    assert probe_rises(trace) == 0.5  # the second and the last of four
    assert probe_rises(Trace(rows=(trace_row(1),), stopped="steps")) is None


def test_the_curve_counts_passes_from_the_base_model_on() -> None:
    rows = (trace_row(1), trace_row(2, forgotten=0.5), trace_row(3), trace_row(4, forgotten=1.0))
    assert forgetting_curve(Trace(rows=rows, stopped="steps"), 10, 0.1) == ((0, 0.1), (14, 0.5), (18, 1.0))
