"""What a benchmark refuses before any work, and what its cells run with."""

import pytest
from pydantic import ValidationError

from expunge.benchmark.benchmark_settings import MethodEntry
from expunge.benchmark.cell import cell_settings
from expunge.errors import ExpungeError
from expunge.unlearning.methods import method_names
from tests.benchmark.bench import BLOB, CAT, DOG, WORLD, made_cell, small

TUNING = {"targets": [CAT], "seed": 7, "learning_rates": [1e-3]}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"methods": [{"method": "magic"}]}, "'magic' is not known"),
        ({"methods": [{"method": "stepping_metric", "options": {"speed": 11}}]}, "speed"),
        ({"methods": [{"method": "stepping_metric", "spede": 1}]}, "unknown key 'spede'"),
        ({"methods": [{"method": "stepping_metric"}] * 2}, "methods: stepping_metric is given 2 times"),
        ({"methods": [{"method": "gradient_ascent"}]}, "compare_with: 'stepping_metric' is not a row"),
        ({"targets": []}, "targets"),
        ({"targets": [CAT, CAT]}, "targets: .*cat.* is given 2 times"),
        ({"targets": [{"kind": "images", "name": "cat"}]}, "kind"),
        ({"seeds": [1, 1]}, "seeds: 1 is given 2 times"),
        ({"comparisons": {}}, "comparisons"),
        ({"comparisons": {"equal_time": 3}}, "equal_time"),
        ({"comparisons": {"equal_budget": 0}}, "equal_budget is 0 passes"),
        ({"unlearning": {"steps": 3}}, "'steps' is set for each cell"),
        ({"unlearning": {"learning_rates": 3}}, "unknown key 'learning_rates'"),
        ({"methods": [{"method": "stepping_metric", "unlearning": {"seed": 1}}]}, "'seed' is set for each cell"),
        (
            {"methods": [{"method": "stepping_metric", "unlearning": {"forget_threshold": 2}}]},
            "forget_threshold of its own",
        ),
        ({"tuning": {**TUNING, "targets": [DOG]}}, "'dog' is compared as well"),
        ({"tuning": {**TUNING, "seed": 0}}, "seed 0 is compared as well"),
        ({"tuning": {**TUNING, "learning_rates": []}}, "learning_rates"),
        ({"tuning": {**TUNING, "learning_rates": [1e-3, 1e-3]}}, "learning_rates: 0.001 is given 2 times"),
        ({"comparisons": {"equal_budget": 4}, "tuning": TUNING}, "comparison 'equal_forgetting' is not one of"),
        ({"relearning": {"pictures": [1, 5], "harmless_pictures": 0}}, "relearning: give one number of pictures"),
        ({"relearning": {"pictures": [5]}}, "relearning: give one number of pictures"),
    ],
)
def test_wrong_settings_are_refused(changed: dict, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        small(**changed)


def test_without_a_list_every_registered_method_is_a_row() -> None:
    assert [entry.name for entry in small(methods=[]).entries] == method_names()
    assert MethodEntry(method="gradient_ascent", label="GA").name == "GA"


def test_targets_are_found_in_the_grid_or_refused() -> None:
    cat, blob = small(targets=[CAT, BLOB]).targets
    assert (cat.resolve(WORLD).factor, blob.resolve(WORLD).levels) == ("subject", ("blob",))
    with pytest.raises(ExpungeError, match="draws no object called 'unicorn'"):
        small(targets=[{"kind": "object", "name": "unicorn"}]).targets[0].resolve(WORLD)


def test_a_cell_runs_with_what_all_share_its_own_and_its_methods() -> None:
    entry = {"method": "gradient_ascent", "options": {"beta1": 0.5}, "unlearning": {"retain_weight": 2.0}}
    settings = small(methods=[entry, {"method": "stepping_metric"}])
    cell = made_cell(entry=settings.entries[0], comparison="equal_forgetting", seed=5, learning_rate=3e-4)
    how = cell_settings(cell, settings, steps=9, check_every=3)
    assert (how.steps, how.check_every, how.seed, how.learning_rate) == (9, 3, 5, 3e-4)
    assert (how.method, how.method_settings().beta1, how.retain_weight) == ("gradient_ascent", 0.5, 2.0)
    assert (how.forget_batch_size, how.stop_at, how.safeguard) == (4, 1.0, None)


def test_at_equal_budget_no_check_ends_a_run_and_there_is_no_pace() -> None:
    settings = small(methods=[{"method": "stepping_metric", "unlearning": {"pace": {}}}])
    how = cell_settings(made_cell(entry=settings.entries[0]), settings, 3, 1)
    assert (how.stop_at, how.pace) == (None, None)
    free = cell_settings(made_cell(entry=settings.entries[0], comparison="equal_forgetting"), settings, 3, 1)
    assert free.stop_at == 1.0 and free.pace is not None


def test_seeds_are_judged_apart_unless_they_should_not_be() -> None:
    apart, together = small(), small(evaluation_varies=False)
    assert len({apart.judged_by(apart.evaluation, seed).seed for seed in range(5)}) == 5
    assert {together.judged_by(together.evaluation, seed) for seed in range(5)} == {together.evaluation}
