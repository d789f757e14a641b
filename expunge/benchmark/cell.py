"""One cell of the benchmark: a method, a target and a seed, in one comparison."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from expunge.benchmark.benchmark_settings import (
    SET_BY_CELL,
    BenchmarkSettings,
    Comparison,
    MethodEntry,
    SampleSettings,
    TargetEntry,
)
from expunge.unlearning.safeguard import SafeguardSettings
from expunge.unlearning.unlearn_settings import UnlearnSettings

NEVER = 2.0  # a share forgotten that no check finds


class Cell(BaseModel):
    """What is to be run.

    Attributes:
        entry: the method.
        target: what it unlearns.
        seed: of batches, noise and timesteps.
        comparison: whether it may stop when the target is forgotten.
        passes: at most so many, gradients at θ₀ included where they count.
        learning_rate: η; None to measure it at θ₀.
        samples: how many pictures it is judged by.
        probed: whether both probe losses are measured after each step.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    entry: MethodEntry
    target: TargetEntry
    seed: int
    comparison: Comparison
    passes: int
    learning_rate: float | None
    samples: SampleSettings
    probed: bool = False

    def key(self, settings: BenchmarkSettings, context: Mapping[str, Any]) -> str:
        """SHA-256 over everything that the result depends on; the label is not among it.

        Args:
            settings: of the benchmark; only what this cell depends on is looked at.
            context: what all cells depend on: model, world, judges, data.
        """
        how = settings.unlearn_settings(self.entry)
        facts = {
            **context,
            "cell": self.model_dump(mode="json", exclude={"entry"}),
            "judged_with": settings.judged_with(self.seed),
            "max_steps": self.entry.max_steps,
            "method": how.method,
            "options": how.method_settings().model_dump(mode="json"),
            "unlearning": how.model_dump(mode="json", exclude={*SET_BY_CELL, "learning_rate"}),
        }
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


class CellResult(BaseModel):
    """What came out. Shares are 0–1; numbers that were not measured, or of a cell that failed, are None.

    Attributes:
        key: of the cell.
        method: the row's label.
        algorithm: the method's registered name.
        kind: of the target.
        target: its name.
        comparison: whether the run could stop when the target was forgotten.
        learning_rate: η, given or measured; None of a cell that failed before it was measured.
        status: ``failed`` if an error ended it.
        error: which.
        stopped: ``forgotten`` or ``steps``: why the run ended.
        unlearning_accuracy: UA by the independent classifier, held-out prompts.
        unlearning_accuracy_before: the same of the base model.
        unlearning_accuracy_clip: UA by CLIP, zero-shot.
        relearned: the lowest UA while a copy is fine-tuned on a few pictures of the target.
        retain_accuracy: RA, held-out retain prompts.
        retain_accuracy_before: the same of the base model.
        retain_accuracy_change: after − before.
        in_domain: IRA.
        cross_domain: CRA.
        frechet_distance: FD of retain pictures.
        frechet_distance_before: the same of the base model.
        frechet_ratio: after / before.
        frechet_features: FD's feature extractor.
        alignment_train_drop: AS before − after on train-level retain prompts; above zero is worse.
        alignment_held_out_drop: the same on held-out-level ones.
        alignment_gap: held-out drop − train drop: what is lost on top where unlearning has not looked.
        broken_promises: share of steps whose first-order change of either loss was above zero. None for methods that
            do not know both losses' gradients.
        probe_rises: share of probed steps after which either loss on the probe was higher.
        steps: made.
        passes: batches that went forward and backward; one that only went forward counts a third; those of the cached
            gradients are included where they count.
        cache_passes: those of the cached gradients; 0 if the method does not read them or they do not count.
        seconds: of the steps, without checks; of the cached gradients as well, as with passes. None where a probe was
            measured for the benchmark's sake.
        peak_memory_mb: largest resident set while unlearning.
        curve: passes and share forgotten at each check, and at the start the base model's UA.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    key: str
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
    unlearning_accuracy: float | None = None
    unlearning_accuracy_before: float | None = None
    unlearning_accuracy_clip: float | None = None
    relearned: float | None = None
    retain_accuracy: float | None = None
    retain_accuracy_before: float | None = None
    retain_accuracy_change: float | None = None
    in_domain: float | None = None
    cross_domain: float | None = None
    frechet_distance: float | None = None
    frechet_distance_before: float | None = None
    frechet_ratio: float | None = None
    frechet_features: str | None = None
    alignment_train_drop: float | None = None
    alignment_held_out_drop: float | None = None
    alignment_gap: float | None = None
    broken_promises: float | None = None
    probe_rises: float | None = None
    steps: int | None = None
    passes: float | None = None
    cache_passes: float | None = None
    seconds: float | None = None
    peak_memory_mb: float | None = None
    curve: tuple[tuple[float, float], ...] = ()

    @property
    def checks(self) -> int | None:
        """How often the target was looked for; None of a cell that failed."""
        return len(self.curve) - 1 if self.curve else None


class MeasuringProbe(SafeguardSettings):
    """A probe that is measured at each step and lets every step pass, as long as losses are finite."""

    tolerance: float = Field(default=1e9, ge=0)
    halvings: int = Field(default=0, ge=0)


class CellSettings(UnlearnSettings):
    """Unlearning settings of a cell: it may be told never to stop early."""

    stop_at: float = Field(default=0.99, gt=0, le=NEVER)


def cell_settings(cell: Cell, settings: BenchmarkSettings, steps: int, check_every: int) -> CellSettings:
    """The settings of one run."""
    shared = settings.unlearn_settings(cell.entry)
    own: dict[str, Any] = {
        "steps": steps,
        "check_every": check_every,
        "seed": cell.seed,
        "learning_rate": cell.learning_rate,
    }
    if cell.comparison == "equal_budget":
        own |= {"stop_at": NEVER, "pace": None}  # a pace would be set by the checks, which must not count here
    if measures_probe(cell, settings):
        own["safeguard"] = MeasuringProbe()
    fields = {name: getattr(shared, name) for name in UnlearnSettings.model_fields}
    return CellSettings.model_validate({**fields, **own})


def measures_probe(cell: Cell, settings: BenchmarkSettings) -> bool:
    """Whether the probe is the benchmark's; a method with a safeguard has one anyway, and its seconds count."""
    return cell.probed and settings.unlearn_settings(cell.entry).safeguard is None
