"""The unlearning loop: draw batches, step, measure, stop when forgetting is done and holds."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from expunge.errors import ExpungeError
from expunge.models.noise_process import NoiseProcess
from expunge.progress import progress_bar
from expunge.unlearning.batches import Batch, LatentSets, StratifiedSampler, draw_batch, generator_of
from expunge.unlearning.calibration import Calibration, calibrate
from expunge.unlearning.checkpoint import Checkpoint, digest_of, load_checkpoint, save_checkpoint
from expunge.unlearning.gradient_cache import GradientCache
from expunge.unlearning.gradients import NonFiniteGradientError
from expunge.unlearning.methods import MethodStep, StepSize, get_method
from expunge.unlearning.pace import Pace
from expunge.unlearning.problem import Problem
from expunge.unlearning.ranks import ALONE, Ranks
from expunge.unlearning.safeguard import ProbeLosses, Safeguard, make_probe
from expunge.unlearning.saliency import within_salient
from expunge.unlearning.trace import Trace, TraceRow
from expunge.unlearning.unlearn_settings import UnlearnSettings

# Streams of randomness, so that no two share their numbers.
FORGET_ORDER, RETAIN_ORDER, FORGET_NOISE, RETAIN_NOISE = range(4)

# What may differ between a checkpoint's run and the one that goes on with it.
FREE_TO_CHANGE = {"steps", "checkpoint_every"}


@dataclass(frozen=True)
class Hooks:
    """Who is asked and told while a run goes on, and where its checkpoints are kept.

    Attributes:
        on_step: called with every new row.
        checkpoint_folder: an unfinished run found there goes on.
        is_forgotten: share of the target forgotten by the model as it is now, 0–1, by whatever judge; None: nobody
            looks, and all steps are made.
        progress: whether to show a progress bar.
        original: the denoiser whose predictions are retained, if somebody has it and leaves it as it is; None: a copy
            of the trained one is made.
        ranks: the processes that run it together; all are given the same, and the first one tells.
    """

    on_step: Callable[[TraceRow], None] | None = None
    checkpoint_folder: Path | None = None
    is_forgotten: Callable[[], float] | None = None
    progress: bool = True
    original: nn.Module | None = None
    ranks: Ranks = ALONE


def unlearn(
    denoiser: nn.Module,
    process: NoiseProcess,
    sets: LatentSets,
    settings: UnlearnSettings,
    cache: GradientCache | None = None,
    hooks: Hooks = Hooks(),  # noqa: B008
) -> Trace:
    """Unlearn the forget set. The denoiser is changed in place and stays in evaluation mode throughout.

    Without dropout to draw from the global generator, a run depends on its settings and sets alone: one
    that was stopped and resumed from a checkpoint gives the same bits on a CPU as one that was not.

    Args:
        denoiser: the denoiser at θ₀, also where a run goes on; float32 or float64. What is frozen stays as it is.
        process: adds the noise.
        sets: forget set and retain set.
        settings: how.
        cache: gradients at θ₀, for methods that want them, to measure the learning rate and for salient entries.
        hooks: who is asked and told.

    Raises:
        ExpungeError: the settings need a cache that is not there; a checkpoint is broken or belongs to another run; a
            gradient is not finite, and then nothing of that step has been done.
    """
    with _evaluating(denoiser):
        problem = Problem(denoiser, process, settings.objectives(), sets, hooks.original, hooks.ranks)
        if settings.saliency is not None:
            problem = within_salient(problem, cache, settings.saliency)
        run = _Run(problem, settings, cache, hooks)
        with progress_bar(hooks.progress) as bar:
            task = bar.add_task("Unlearning", total=settings.steps, completed=len(run.rows), note="")
            while run.stopped() is None:
                row = run.step()
                bar.update(task, completed=row.step, note=_described(row, run.last_check()))
                if hooks.on_step is not None:
                    hooks.on_step(row)
            bar.update(task, total=len(run.rows))
        return run.trace()


@contextmanager
def _evaluating(denoiser: nn.Module) -> Iterator[None]:
    was_training = denoiser.training
    denoiser.eval()
    try:
        yield
    finally:
        denoiser.train(was_training)


class _Run:
    """A run in progress: what it is made of, and its rows so far."""

    def __init__(self, problem: Problem, settings: UnlearnSettings, cache: GradientCache | None, hooks: Hooks) -> None:
        self.problem, self.settings, self.hooks = problem, settings, hooks
        for name in ("forget_batch_size", "retain_batch_size"):
            if (size := getattr(settings, name)) < problem.ranks.size:
                raise ExpungeError(f"{name}: {size} given, for {problem.ranks.size} processes; at least one for each")
        self.enough = math.inf if settings.stop_at is None else settings.stop_at
        self.calibration = self._calibrate(cache) if settings.learning_rate is None else None
        self.method = get_method(settings.method)(problem, settings.method_settings(), cache)
        self.forget_order, self.retain_order = (
            StratifiedSampler(data.strata, size, generator_of(settings.seed, stream).initial_seed())
            for data, size, stream in (
                (problem.sets.forget, settings.forget_batch_size, FORGET_ORDER),
                (problem.sets.retain, settings.retain_batch_size, RETAIN_ORDER),
            )
        )
        self.safeguard: Safeguard | None = None
        if settings.safeguard is not None:
            probe = make_probe(problem.sets, problem.process.levels, settings.seed + 1)
            self.safeguard = Safeguard(probe, problem, settings.safeguard)
        self.pace = self._pace()
        self.rows: list[TraceRow] = []
        self.identity = settings.model_dump(mode="json", exclude=FREE_TO_CHANGE) | {
            "start": digest_of(problem.parameters),
            "forget_set": problem.sets.forget.digest(),
            "retain_set": problem.sets.retain.digest(),
            "gradient_cache": cache.key if cache else None,
        }
        if hooks.checkpoint_folder is not None:
            self._resume(hooks.checkpoint_folder)

    @property
    def learning_rate(self) -> float:
        """η, given or measured."""
        measured = self.calibration.learning_rate if self.calibration else 0.0
        return self.settings.learning_rate or measured

    def step(self) -> TraceRow:
        """One step with its probe, check and checkpoint."""
        number, started = len(self.rows) + 1, time.perf_counter()
        pace, forget_weight = (self.pace.factor, self.pace.forget_weight) if self.pace else (1.0, 1.0)
        size = StepSize(self.learning_rate * pace, forget_weight)
        try:
            done = self._step_method(number - 1, size)
        except NonFiniteGradientError as error:
            raise ExpungeError(f"step {number}: {error}") from error
        share = self.safeguard.settle() if self.safeguard else 1.0
        probed = self.safeguard.last if self.safeguard else None
        seconds, report, ask = time.perf_counter() - started, done.report, self.hooks.is_forgotten
        row = TraceRow(
            step=number,
            forget_loss=done.forget_loss,
            retain_loss=done.retain_loss,
            cosine=report.cosine,
            forget_coefficient=report.coefficients.forget,
            retain_coefficient=report.coefficients.retain,
            conflict=report.coefficients.conflict,
            change_forget=report.change_forget,
            change_retain=report.change_retain,
            averaged_change_forget=report.averaged_change_forget,
            averaged_change_retain=report.averaged_change_retain,
            passes=done.passes + (self.calibration.passes if self.calibration and number == 1 else 0.0),
            seconds=seconds,
            pace=pace,
            learning_rate=size.learning_rate,
            step_share=share,
            probe_forget=probed.forget if probed else None,
            probe_retain=probed.retain if probed else None,
            forgotten=ask() if ask is not None and self._wants_check(number, done.forget_loss) else None,
        )
        self._learn(row)
        if self.hooks.checkpoint_folder and (number % self.settings.checkpoint_every == 0 or self.stopped()):
            self._save(self.hooks.checkpoint_folder)
        return row

    def stopped(self) -> str | None:
        """Why the run is over, or None. The rules are those that ``UnlearnSettings.stopping_rule`` puts into words."""
        if self.pace is not None and self.pace.done:
            return "forgotten"
        checks = [row.forgotten for row in self.rows if row.forgotten is not None][-2:]
        if self.pace is None and len(checks) == 2 and min(checks) >= self.enough:
            return "forgotten"
        return "steps" if len(self.rows) >= self.settings.steps else None

    def last_check(self) -> float | None:
        """Share forgotten, 0–1, where it was last measured."""
        return next((row.forgotten for row in reversed(self.rows) if row.forgotten is not None), None)

    def trace(self) -> Trace:
        """The finished run's trace."""
        start = self.safeguard.start if self.safeguard else None
        return Trace.model_validate(
            {
                "rows": tuple(self.rows),
                "stopped": self.stopped(),
                "probe_forget_start": start.forget if start else None,
                "probe_retain_start": start.retain if start else None,
                "calibration": self.calibration,
            }
        )

    def _calibrate(self, cache: GradientCache | None) -> Calibration:
        if cache is None:
            raise ExpungeError("learning_rate is null, but there is no gradient cache to measure it with; set a rate")
        sizes = (self.settings.forget_batch_size, self.settings.retain_batch_size)
        return calibrate(self.problem, cache, *sizes, self.settings.seed)

    def _pace(self) -> Pace | None:
        if self.settings.pace is None:
            return None
        most = self.calibration.limit / self.calibration.learning_rate if self.calibration else math.inf
        return Pace(self.settings.pace, self.problem.objectives.forget_loss, self.settings.check_every, most)

    def _wants_check(self, number: int, forget_loss: float | None) -> bool:
        if self.pace is not None:
            return self.pace.wants_check(forget_loss)
        return number % self.settings.check_every == 0

    def _learn(self, row: TraceRow) -> None:
        self.rows.append(row)
        if self.pace is not None:
            self.pace.learn(row.forget_loss, row.forgotten, self.enough)

    def _step_method(self, index: int, size: StepSize) -> MethodStep:
        count = self.method.retain_batches(self.retain_order.batches_to_cover())
        generator = generator_of(self.settings.seed, FORGET_NOISE, index)
        members = self.forget_order.batch(index)
        forget = draw_batch(self.problem.sets.forget, members, self.problem.process.levels, generator)
        retain = [self._retain_batch(number) for number in range(index * count, (index + 1) * count)]
        return self.method.step(forget, retain, size)

    def _retain_batch(self, number: int) -> Batch:
        generator = generator_of(self.settings.seed, RETAIN_NOISE, number)
        members, levels = self.retain_order.batch(number), self.problem.process.levels
        return draw_batch(self.problem.sets.retain, members, levels, generator, self.settings.empty_share)

    def _save(self, folder: Path) -> None:
        rows, ranks = [row.model_dump() for row in self.rows], self.problem.ranks
        parameters = {name: p.detach() for name, p in self.problem.parameters.items()}
        checkpoint = Checkpoint(len(rows), self.identity, rows, parameters, self.method.state_dict())
        if ranks.sharded or ranks.first:
            save_checkpoint(self._own(folder), checkpoint, ranks.wait if ranks.sharded else lambda: None)

    def _own(self, folder: Path) -> Path:
        """Where this process's checkpoints are: shards lie apart."""
        ranks = self.problem.ranks
        return folder / f"shard-{ranks.rank}-of-{ranks.size}" if ranks.sharded else folder

    @torch.no_grad()
    def _resume(self, folder: Path) -> None:
        found = load_checkpoint(self._own(folder), self.identity, self.problem.ranks.least)
        if found is None:
            return
        for name, parameter in self.problem.parameters.items():
            parameter.copy_(found.parameters[name])
        self.method.load_state_dict(found.optimiser)
        for row in found.rows:
            self._learn(TraceRow.model_validate(row))
        last = self.rows[-1]
        if self.safeguard is not None and last.probe_forget is not None and last.probe_retain is not None:
            self.safeguard.resume(ProbeLosses(last.probe_forget, last.probe_retain))


def _described(row: TraceRow, forgotten: float | None) -> str:
    """Short, so that bar and counts beside it fit a terminal of 80 columns."""
    known = (("cosine", row.cosine, "+.2f"), ("forgotten", forgotten, ".0%"))
    return ", ".join(f"{name} {value:{form}}" for name, value, form in known if value is not None)
