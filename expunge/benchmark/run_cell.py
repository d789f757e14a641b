"""Run one cell: unlearn, evaluate, and read off the trace what the table wants."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from expunge.benchmark.bench import Bench, Materials
from expunge.benchmark.cell import Cell, cell_settings
from expunge.benchmark.measuring import measure
from expunge.benchmark.peak_memory import PeakMemory
from expunge.comeback.relearning import relearn
from expunge.comeback.trial import Trial
from expunge.evaluation.evaluation import Evaluation
from expunge.models.text_to_image import TextToImage
from expunge.pictures.picture_store import PictureStore
from expunge.unlearning.job import unlearn_model
from expunge.unlearning.trace import Trace
from expunge.unlearning.training_sets import TrainingSets

NO_CHECK = 1_000_000_000  # steps between checks


@dataclass(frozen=True)
class StepCost:
    """What a method takes, found out by making two steps.

    Attributes:
        first: passes of the first step on top of those of any other: what it does once.
        passes: of a step.
    """

    first: float
    passes: float

    def steps_for(self, budget: float) -> int:
        """How many steps a budget of passes allows, at least one.

        A step without passes (a closed form) counts as one: how many of them are wanted is for its entry to say.
        """
        return max(1, int((budget - self.first) / (self.passes or 1) + 1e-9))


def step_cost(cell: Cell, bench: Bench, materials: Materials) -> StepCost:
    """Make two steps and see."""
    _, trace = unlearned(cell, bench, materials, 2, NO_CHECK)
    first, second = (row.passes for row in trace.rows)
    return StepCost(first - second, second)


def run_cell(cell: Cell, bench: Bench, materials: Materials, pictures: PictureStore, cost: StepCost) -> dict[str, Any]:
    """Unlearn and evaluate: what ``CellResult`` has of numbers.

    Raises:
        ExpungeError: a gradient was not finite, or what the method itself refuses.
    """
    settings = bench.settings
    with PeakMemory() as memory:
        done = made(cell, bench, materials, cost)
    model, trace, counted = done.model, done.trace, done.cache_passes
    evaluation = measure(model, bench.model, materials.case, cell.judged_by, pictures).result.evaluation
    before, after = (shown(evaluation, side) for side in ("before", "after"))
    curve = forgetting_curve(trace, counted, before["unlearning_accuracy"])
    seconds = sum(row.seconds for row in trace.rows) + done.cache_seconds
    own = {
        # Tuning has a seed of its own, and looks at UA and RA alone.
        "relearned": _relearned(bench, materials, cell, model) if cell.seed in settings.seeds else None,
        "raised": raised((row.change_forget, row.change_retain) for row in trace.rows),
        "raised_averaged": raised((row.averaged_change_forget, row.averaged_change_retain) for row in trace.rows),
        "probe_rises": probe_rises(trace),
        "steps": len(trace.rows),
        "passes": counted + sum(row.passes for row in trace.rows),
        "cache_passes": counted,
        "checks": len(curve) - 1,
        "seconds": seconds,
        "peak_memory_mb": memory.megabytes,
    }
    return {
        "status": "done",
        "learning_rate": trace.rows[0].learning_rate,  # the pace begins at 1
        "stopped": trace.stopped,
        "check_every": done.check_every,
        "numbers": after | {name: float(value) for name, value in own.items() if value is not None},
        "before": before,
        "frechet_features": evaluation.frechet_features,
        "curve": curve,
    }


@dataclass(frozen=True)
class Made:
    """An unlearned model, and what it took.

    Attributes:
        model: the model.
        trace: of its training.
        cache_passes: of the gradients at θ₀, where they count.
        cache_seconds: likewise.
        check_every: steps between two looks at the target, at most.
    """

    model: TextToImage
    trace: Trace
    cache_passes: int
    cache_seconds: float
    check_every: int


def made(cell: Cell, bench: Bench, materials: Materials, cost: StepCost) -> Made:
    """The model that a cell's method makes within the cell's passes.

    Raises:
        ExpungeError: a gradient was not finite, or what the method itself refuses.
    """
    settings = bench.settings
    how = settings.unlearn_settings(cell.entry)
    cached = materials.cached(how.forgetting())
    counts = settings.count_cache and (how.uses_cache or cell.learning_rate is None)
    passes, seconds = (cached.passes, cached.seconds) if counts else (0, 0.0)
    allowed = cost.steps_for(cell.passes - passes)
    steps = min(allowed, cell.entry.max_steps or allowed)
    check_every = min(steps, max(1, round(settings.check_passes / (cost.passes or 1))))
    model, trace = unlearned(cell, bench, materials, steps, check_every)
    return Made(model, trace, passes, seconds, check_every)


def unlearned(
    cell: Cell, bench: Bench, materials: Materials, steps: int, check_every: int
) -> tuple[TextToImage, Trace]:
    """The model that a cell's method makes in so many steps, at most."""
    how = cell_settings(cell, bench.settings, steps, check_every)
    sets = TrainingSets(materials.forget, materials.retain, materials.cached(how.forgetting()).gradients)
    return unlearn_model(bench.model, sets, materials.case, how, bench.settings.check)


def _relearned(bench: Bench, materials: Materials, cell: Cell, model: TextToImage) -> float | None:
    """The lowest UA while a copy is fine-tuned on pictures of the forget set, others for each seed."""
    how, seed, (target,) = bench.settings.relearning, cell.judged_by.seed, materials.case.targets
    if how is None:
        return None
    order = np.random.default_rng(seed).permutation(len(materials.forget))
    trial = Trial(materials.case.drawn_with(cell.judged_by.drawing), target, seed)
    found = relearn(model, materials.forget.select(order.tolist()), trial, how)
    return min(point.unlearning_accuracy.value for point in found.curves[0].points[1:])


def shown(evaluation: Evaluation, side: str) -> dict[str, float]:
    """Everything that an evaluation of one target measured ``before`` or ``after``, by name."""
    (target,) = evaluation.targets
    changes = evaluation.rest | target.numbers
    numbers = {name: getattr(change, side).value for name, change in changes.items()}
    gaps = [changes[name].difference.value for name in ("alignment_train", "alignment_held_out")]
    distance = changes["frechet_distance"].before.value
    numbers["alignment_gap"] = gaps[0] - gaps[1] if side == "after" else 0.0
    if distance > 0:
        numbers["frechet_ratio"] = numbers["frechet_distance"] / distance
    return numbers


def raised(changes: Iterable[tuple[float | None, float | None]]) -> float | None:
    """Share of steps whose first-order change of either loss was above zero; None if no step knew both."""
    # Written so that NaN counts.
    broken = [not (f <= 0 and r <= 0) for f, r in changes if f is not None and r is not None]
    return sum(broken) / len(broken) if broken else None


def probe_rises(trace: Trace) -> float | None:
    """Share of probed steps after which either probe loss was higher than before; None without a probe."""
    start = (trace.probe_forget_start, trace.probe_retain_start)
    measured = [start, *((row.probe_forget, row.probe_retain) for row in trace.rows)]
    losses = [(f, r) for f, r in measured if f is not None and r is not None]
    rises = [now[0] > last[0] or now[1] > last[1] for last, now in zip(losses, losses[1:], strict=False)]
    return sum(rises) / len(rises) if rises else None


def forgetting_curve(trace: Trace, passes_before: float, forgotten_before: float) -> tuple[tuple[float, float], ...]:
    """Passes and share forgotten at each check, from the base model on."""
    passes, points = passes_before, [(0.0, forgotten_before)]
    for row in trace.rows:
        passes += row.passes
        if row.forgotten is not None and math.isfinite(row.forgotten):
            points.append((passes, row.forgotten))
    return tuple(points)
