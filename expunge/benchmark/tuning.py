"""One learning rate for each method, chosen in the same way for all."""

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

from expunge.benchmark.cell import CellResult


class TunedRate(BaseModel):
    """What became of one method at one learning rate, mean over the tuning targets.

    Attributes:
        method: the row's label.
        learning_rate: η.
        unlearning_accuracy: UA, 0–1; None if no cell came to an end.
        retain_accuracy: RA, likewise.
        failed: cells that an error ended.
        chosen: whether this rate was taken.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    method: str
    learning_rate: float
    unlearning_accuracy: float | None
    retain_accuracy: float | None
    failed: int
    chosen: bool = False


def choose_rates(results: Sequence[CellResult], bar: float) -> list[TunedRate]:
    """The rate with the highest RA among those whose UA reaches the bar, else the one with the highest UA.

    A rate at which a cell failed is only taken if every rate has failures. Ties go to the better other number, then to
    the smaller rate.

    Args:
        results: of tuning cells.
        bar: UA, 0–1.

    Returns:
        One entry for each method and rate, in the order of the results; one of each method is chosen.
    """
    groups: dict[tuple[str, float], list[CellResult]] = {}
    for result in results:
        if result.learning_rate is not None:  # a tuned rate is given, not measured
            groups.setdefault((result.method, result.learning_rate), []).append(result)
    tried = [_mean(method, rate, cells) for (method, rate), cells in groups.items()]
    best = {
        method: max((each for each in tried if each.method == method), key=lambda each: _merit(each, bar))
        for method in dict.fromkeys(each.method for each in tried)
    }
    return [each.model_copy(update={"chosen": each == best[each.method]}) for each in tried]


def _mean(method: str, rate: float, cells: list[CellResult]) -> TunedRate:
    names = ("unlearning_accuracy", "retain_accuracy")
    measured = [tuple(each.numbers[name] for name in names) for each in cells if each.status == "done"]
    ua, ra = (sum(column) / len(measured) for column in zip(*measured, strict=True)) if measured else (None, None)
    return TunedRate(
        method=method,
        learning_rate=rate,
        unlearning_accuracy=ua,
        retain_accuracy=ra,
        failed=len(cells) - len(measured),
    )


def _merit(tried: TunedRate, bar: float) -> tuple[float, ...]:
    ua, ra = (-1.0 if each is None else each for each in (tried.unlearning_accuracy, tried.retain_accuracy))
    reached = ua >= bar
    numbers = (ra, ua) if reached else (ua, ra)
    return (float(not tried.failed), float(reached), *numbers, -tried.learning_rate)
