"""One cell of the benchmark: a method, a target and a seed, in one comparison."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from expunge.benchmark.benchmark_settings import (
    SET_BY_CELL,
    BenchmarkSettings,
    Comparison,
    MethodEntry,
    TargetEntry,
)
from expunge.benchmark.measuring import MeasuringSettings
from expunge.benchmark.result_store import Result
from expunge.unlearning.unlearn_settings import UnlearnSettings


class Cell(BaseModel):
    """What is to be run.

    Attributes:
        entry: the method.
        target: what it unlearns.
        seed: of batches, noise and timesteps.
        comparison: whether it may stop when the target is forgotten.
        passes: at most so many, gradients at θ₀ included where they count.
        learning_rate: η; None to measure it at θ₀.
        judged_by: how many pictures it is judged by, and which.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    entry: MethodEntry
    target: TargetEntry
    seed: int
    comparison: Comparison
    passes: int
    learning_rate: float | None
    judged_by: MeasuringSettings

    def key(self, settings: BenchmarkSettings, context: Mapping[str, Any]) -> str:
        """SHA-256 over everything that the result depends on, but for the code; the label is not among it.

        Args:
            settings: of the benchmark; only what this cell depends on is looked at.
            context: what all cells depend on: model, world, judges, data.
        """
        how = settings.unlearn_settings(self.entry)
        facts = {
            **context,
            "cell": self.model_dump(mode="json", exclude={"entry"}),
            "max_steps": self.entry.max_steps,
            "method": how.method,
            "options": how.method_settings().model_dump(mode="json"),
            "unlearning": how.model_dump(mode="json", exclude={*SET_BY_CELL, "learning_rate"})
            | {"forget": how.forgetting().losses},
        }
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


class CellResult(Result):
    """What came out.

    Attributes:
        method: the row's label.
        algorithm: the method's registered name.
        kind: of the target.
        target: its name.
        comparison: whether the run could stop when the target was forgotten.
        learning_rate: η, given or measured; None of a cell that failed before it was measured.
        status: ``failed`` if an error ended it.
        error: which.
        stopped: ``forgotten`` or ``steps``: why the run ended.
        check_every: steps between two looks at the target, at most.
        numbers: of the unlearned model, by name in ``expunge.benchmark.columns``; what is missing was not measured.
        before: of the base model, likewise.
        frechet_features: FD's feature extractor.
        curve: passes and share forgotten at each check, and at the start the base model's UA.
    """

    method: str
    algorithm: str
    kind: str
    target: str
    seed: int
    comparison: Comparison
    learning_rate: float | None
    status: Literal["done", "failed"]
    error: str | None = None
    stopped: Literal["steps", "forgotten"] | None = None
    check_every: int | None = None
    numbers: dict[str, float] = {}
    before: dict[str, float] = {}
    frechet_features: str | None = None
    curve: tuple[tuple[float, float], ...] = ()

    def row(self) -> dict[str, Any]:
        """Flat: a column a number, those of the base model with ``_before`` behind their names."""
        before = {f"{name}_before": value for name, value in self.before.items()}
        return {**self.model_dump(mode="json", exclude={"numbers", "before"}), **self.numbers, **before}


def result_of(cell: Cell, key: str, code: str, **found: Any) -> CellResult:
    """A cell's result: who it is, and what was found."""
    return CellResult(
        key=key,
        code=code,
        method=cell.entry.name,
        algorithm=cell.entry.method,
        kind=cell.target.kind,
        target=cell.target.name,
        seed=cell.seed,
        comparison=cell.comparison,
        **{"learning_rate": cell.learning_rate, **found},
    )


def cell_settings(cell: Cell, settings: BenchmarkSettings, steps: int, check_every: int) -> UnlearnSettings:
    """The settings of one run. At equal budget no check ends it, so it has no pace, which the checks would set."""
    free = {"stop_at": None, "pace": None} if cell.comparison == "equal_budget" else {}
    own = {"steps": steps, "check_every": check_every, "seed": cell.seed, "learning_rate": cell.learning_rate, **free}
    return settings.unlearn_settings(cell.entry).model_copy(update=own)
