"""What is said of how a table came about: each row's own stopping rule and settings, and nothing that is not so."""

from expunge.benchmark.runner import BenchmarkResults
from expunge.benchmark.table_notes import budgets, notes, own_settings, stopping_rule
from tests.benchmark.bench import SMALL, result_maker, small

OURS = {
    "method": "stepping_metric",
    "learning_rate": "measured",
    "unlearning": {"alignment": "original", "forget": {"truncated": 1.0}, "pace": {"depth": 0.6, "settle_steps": 20}},
}
THEIRS = {"method": "restricted_gradient_diversified", "label": "RGD", "options": {"retain_batches": 8}}
SHARED = SMALL["unlearning"] | {"stop_at": 0.99}


def results(**changed: object) -> BenchmarkResults:
    make, settings = result_maker(), small(methods=[OURS, THEIRS], unlearning=SHARED, check_passes=27, **changed)
    cells = (
        make("stepping_metric", check_every=12, comparison="equal_forgetting"),
        make("RGD", check_every=3, comparison="equal_forgetting"),
    )
    return BenchmarkResults(settings=settings, cells=cells, tuning=(), facts={})


def test_each_row_has_the_stopping_rule_that_it_has() -> None:
    found = results()
    ours, theirs = (stopping_rule(found.settings, entry, list(found.cells)) for entry in found.settings.entries)
    assert theirs == "two checks in a row, 3 steps apart, that find at least 99.0% of the target forgotten"
    assert "two checks" not in ours and "0.6 of its way" in ours and "20 shrinking steps" in ours and "99.0%" in ours


def test_both_rules_stand_in_the_notes_and_rows_of_one_rule_together() -> None:
    (free, bound) = budgets(results())
    assert "stepping_metric: one check" in free and "RGD: two checks in a row, 3 steps apart" in free
    assert "No check ends a run, and no row has a pace." in bound
    alike = small(
        methods=[{"method": "gradient_ascent"}, {"method": "retain_finetuning"}], compare_with="gradient_ascent"
    )
    (said, _) = budgets(BenchmarkResults(settings=alike, cells=(), tuning=(), facts={}))
    assert "gradient_ascent, retain_finetuning: two checks in a row" in said


def test_what_only_one_row_has_is_said_of_it_alone() -> None:
    (said,) = own_settings(results().settings)
    ours, theirs = said.split("; RGD: ")
    assert "stepping_metric: alignment original, forget (truncated 1), pace (depth 0.6, settle_steps 20)" in ours
    assert "learning rate measured at θ₀ for each target" in ours and theirs == "retain_batches 8."
    alike = small(
        methods=[{"method": "gradient_ascent"}, {"method": "restricted_gradient"}], compare_with="gradient_ascent"
    )
    assert own_settings(alike) == ["All rows have the same retain loss, pace and way to a learning rate."]


def test_nothing_is_said_to_be_the_same_for_every_method() -> None:
    said = " ".join(notes(results())).lower()
    assert "every method" not in said
    assert "by the gradients of the step's own batches, for every row alike" in said
