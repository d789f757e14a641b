"""Run one cell: unlearn, evaluate, and read off the trace what the table wants."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from expunge.benchmark.cell import Cell, CellResult, cell_settings, measures_probe
from expunge.benchmark.judging import Judging
from expunge.benchmark.materials import Bench, Materials, WatchedCache
from expunge.benchmark.peak_memory import PeakMemory
from expunge.case import Case
from expunge.comeback.relearning import relearn
from expunge.comeback.trial import Trial
from expunge.errors import ExpungeError
from expunge.evaluation.evaluation import Evaluation
from expunge.evaluation.model_evaluation import EvaluationSettings, evaluate_model
from expunge.models.text_to_image import TextToImage
from expunge.prompts.target import Target
from expunge.unlearning.job import TrainingSets, unlearn_model
from expunge.unlearning.trace import Trace, TraceRow

NO_CHECK = 1_000_000_000  # steps between checks


@dataclass(frozen=True)
class StepCost:
    """What a method takes, found out by making two steps.

    Attributes:
        first: passes of the first step on top of those of any other: what it does once.
        passes: of a step.
        reads_cache: whether the method looks at the cached gradients.
    """

    first: float
    passes: float
    reads_cache: bool

    def steps_for(self, budget: float) -> int:
        """How many steps a budget of passes allows, at least one.

        A step without passes (a closed form) counts as one: how many of them are wanted is for its entry to say.
        """
        return max(1, int((budget - self.first) / (self.passes or 1) + 1e-9))


def step_cost(cell: Cell, bench: Bench, materials: Materials) -> StepCost:
    """Make two steps and see."""
    cache = WatchedCache(materials.cache)
    _, trace = _unlearn(cell.model_copy(update={"probed": False}), bench, materials, cache, 2, NO_CHECK)
    first, second = (row.passes for row in trace.rows)
    return StepCost(first - second, second, cache.read)


def run_cell(cell: Cell, key: str, bench: Bench, materials: Materials, judging: Judging, cost: StepCost) -> CellResult:
    """Unlearn and evaluate.

    Raises:
        ExpungeError: a probe loss was not finite, a gradient was not, or what the method itself refuses.
    """
    settings = bench.settings
    counted = materials.cache_passes if cost.reads_cache and settings.count_cache else 0
    allowed = cost.steps_for(cell.passes - counted)
    steps = min(allowed, cell.entry.max_steps or allowed)
    check_every = min(steps, max(1, round(settings.check_passes / (cost.passes or 1))))
    with PeakMemory() as memory:
        unlearned, trace = _unlearn(cell, bench, materials, materials.cache, steps, check_every)
    own_probe = measures_probe(cell, settings)
    if own_probe and (stopped := [row.step for row in trace.rows if row.step_share < 1]):
        raise ExpungeError(f"step {stopped[0]}: a loss on the probe is no longer finite; lower the learning rate")
    evaluation = _evaluate(bench, materials.target, judging, unlearned)
    seconds = sum(row.seconds for row in trace.rows) + (materials.cache_seconds if counted else 0.0)
    return result_of(
        cell,
        key,
        status="done",
        learning_rate=trace.rows[0].learning_rate,  # the pace begins at 1
        stopped=trace.stopped,
        **scores(evaluation),
        # Tuning has a seed of its own, and looks at UA and RA alone.
        relearned=_relearned(bench, materials, judging, unlearned) if cell.seed in settings.seeds else None,
        broken_promises=broken_promises(trace.rows),
        probe_rises=probe_rises(trace),
        steps=len(trace.rows),
        passes=counted + sum(row.passes for row in trace.rows),
        cache_passes=counted,
        seconds=None if own_probe else seconds,
        peak_memory_mb=memory.megabytes,
        curve=forgetting_curve(trace, counted, evaluation.targets[0].numbers["unlearning_accuracy"].before.value),
    )


def result_of(cell: Cell, key: str, **found: Any) -> CellResult:
    """A cell's result: who it is, and what was found."""
    return CellResult(
        key=key,
        method=cell.entry.name,
        algorithm=cell.entry.method,
        kind=cell.target.kind,
        target=cell.target.name,
        seed=cell.seed,
        comparison=cell.comparison,
        **{"learning_rate": cell.learning_rate, **found},
    )


def _unlearn(
    cell: Cell, bench: Bench, materials: Materials, cache: Any, steps: int, check_every: int
) -> tuple[TextToImage, Trace]:
    settings = bench.settings
    return unlearn_model(
        bench.model,
        TrainingSets(materials.forget, materials.retain, cache),
        Case.of(bench.world, bench.panel, settings.evaluation_drawing).about([materials.target]),
        cell_settings(cell, settings, steps, check_every),
        settings.check,
    )


def _evaluate(bench: Bench, target: Target, judging: Judging, unlearned: TextToImage) -> Evaluation:
    # The target's pictures are among the held-out ones already: nothing is drawn of the base model any more.
    asked = len(judging.held_out.where(target.matches))
    return evaluate_model(
        bench.model,
        unlearned,
        judging.held_out,
        judging.train,
        [target],
        bench.world,
        bench.panel,
        EvaluationSettings(target_pictures=asked, seed=judging.seed),
        bench.settings.evaluation_drawing,
    ).evaluation


def _relearned(bench: Bench, materials: Materials, judging: Judging, unlearned: TextToImage) -> float | None:
    """The lowest UA while a copy is fine-tuned on pictures of the forget set, others for each seed."""
    how, target = bench.settings.relearning, materials.target
    if how is None:
        return None
    order = np.random.default_rng(judging.seed).permutation(len(materials.forget))
    pictures, drawing = materials.forget.select(order.tolist()), bench.settings.evaluation_drawing
    trial = Trial(Case.of(bench.world, bench.panel, drawing), target, judging.seed)
    found = relearn(unlearned, pictures, trial, how)
    return min(point.unlearning_accuracy.value for point in found.curves[0].points[1:])


def scores(evaluation: Evaluation) -> dict[str, Any]:
    """What ``CellResult`` keeps of an evaluation of one target."""
    (target,) = evaluation.targets
    ua, rest = target.numbers["unlearning_accuracy"], evaluation.rest
    distance, retained = rest["frechet_distance"], rest["retain_accuracy"]
    drops = [-rest[name].difference.value for name in ("alignment_train", "alignment_held_out")]
    by_clip = target.numbers.get("unlearning_accuracy_clip")
    domains: dict[str, Any] = {name: rest[name].after.value for name in ("in_domain", "cross_domain") if name in rest}
    return {
        "unlearning_accuracy": ua.after.value,
        "unlearning_accuracy_before": ua.before.value,
        "unlearning_accuracy_clip": by_clip.after.value if by_clip else None,
        "retain_accuracy": retained.after.value,
        "retain_accuracy_before": retained.before.value,
        "retain_accuracy_change": retained.difference.value,
        **domains,
        "frechet_distance": distance.after.value,
        "frechet_distance_before": distance.before.value,
        "frechet_ratio": distance.after.value / distance.before.value if distance.before.value > 0 else None,
        "frechet_features": evaluation.frechet_features,
        "alignment_train_drop": drops[0],
        "alignment_held_out_drop": drops[1],
        "alignment_gap": drops[1] - drops[0],
    }


def broken_promises(rows: Sequence[TraceRow]) -> float | None:
    """Share of steps whose first-order change of either loss was above zero; None if no step knew both."""
    changes = [(row.change_forget, row.change_retain) for row in rows]
    # Written so that NaN is a broken promise.
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
