"""The learning rate that is taken, by hand."""

from expunge.benchmark.tuning import choose_rates
from tests.benchmark.bench import result_maker


def chosen(*cells: tuple[float, str, float | None, float | None], bar: float = 0.95) -> float:
    """The rate taken, of cells (rate, target, UA, RA); None for a cell that failed."""
    make = result_maker()
    results = [
        make("m", target, learning_rate=rate, status="failed", error="no")
        if ua is None
        else make("m", target, learning_rate=rate, unlearning_accuracy=ua, retain_accuracy=ra)
        for rate, target, ua, ra in cells
    ]
    (taken,) = [each for each in choose_rates(results, bar) if each.chosen]
    return taken.learning_rate


def test_of_the_rates_that_reach_the_bar_the_highest_retain_accuracy_wins() -> None:
    assert chosen((1e-5, "cat", 0.5, 0.99), (1e-4, "cat", 0.95, 0.9), (1e-3, "cat", 1.0, 0.8)) == 1e-4


def test_where_none_reaches_it_the_highest_unlearning_accuracy_wins() -> None:
    assert chosen((1e-5, "cat", 0.5, 0.99), (1e-4, "cat", 0.7, 0.2)) == 1e-4


def test_the_mean_over_targets_is_what_counts() -> None:
    cells = [(1e-4, "cat", 1.0, 0.9), (1e-4, "dog", 0.8, 0.9), (1e-3, "cat", 1.0, 0.7), (1e-3, "dog", 0.94, 0.7)]
    assert chosen(*cells) == 1e-3  # means 0.90 and 0.97
    assert chosen(*cells, bar=0.9) == 1e-4


def test_ties_go_to_the_other_number_and_then_to_the_smaller_rate() -> None:
    assert chosen((1e-4, "cat", 0.96, 0.9), (1e-3, "cat", 0.99, 0.9)) == 1e-3
    assert chosen((1e-4, "cat", 1.0, 0.9), (1e-3, "cat", 1.0, 0.9)) == 1e-4


def test_a_rate_with_failures_is_taken_only_if_all_have_some() -> None:
    assert chosen((1e-4, "cat", 0.1, 0.1), (1e-3, "cat", 1.0, 1.0), (1e-3, "dog", None, None)) == 1e-4
    assert chosen((1e-4, "cat", None, None), (1e-3, "cat", 0.5, 0.5), (1e-3, "dog", None, None)) == 1e-3


def test_each_method_has_its_own_and_what_was_tried_is_kept() -> None:
    make = result_maker()
    results = [
        make(method, learning_rate=rate, unlearning_accuracy=ua, retain_accuracy=0.5)
        for method, rate, ua in (("a", 1e-4, 0.2), ("a", 1e-3, 0.3), ("b", 1e-4, 0.4), ("b", 1e-3, 0.1))
    ]
    rates = choose_rates(results, 0.9)
    assert [(each.method, each.learning_rate, each.chosen) for each in rates] == [
        ("a", 1e-4, False),
        ("a", 1e-3, True),
        ("b", 1e-4, True),
        ("b", 1e-3, False),
    ]
    assert [each.unlearning_accuracy for each in rates] == [0.2, 0.3, 0.4, 0.1]
