"""The unlearning loop: draw batches, step, measure, stop when forgetting is done and holds."""

import math
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from expunge.errors import ExpungeError
from expunge.models.text_to_image import NoiseProcess
from expunge.progress import progress_bar
from expunge.unlearning.batches import (
    Batch,
    LatentSet,
    StratifiedSampler,
    draw_batch,
    empties_of,
    generator_of,
)
from expunge.unlearning.calibration import Calibration, calibrate
from expunge.unlearning.checkpoint import Checkpoint, digest_of, load_checkpoint, save_checkpoint
from expunge.unlearning.gradient_cache import GradientCache
from expunge.unlearning.gradients import NonFiniteGradientError
from expunge.unlearning.methods import Method, MethodStep, get_method
from expunge.unlearning.pace import Pace, PaceSettings
from expunge.unlearning.problem import Problem
from expunge.unlearning.resampling import DriftSampler
from expunge.unlearning.safeguard import Probe, ProbeLosses, Safeguard
from expunge.unlearning.trace import Trace, TraceRow
from expunge.unlearning.unlearn_settings import UnlearnSettings

# Streams of randomness, so that no two share their numbers.
FORGET_ORDER, RETAIN_ORDER, FORGET_NOISE, RETAIN_NOISE = range(4)

# What may differ between a checkpoint's run and the one that goes on with it.
FREE_TO_CHANGE = {"steps", "checkpoint_every"}


def unlearn(
    denoiser: nn.Module,
    process: NoiseProcess,
    forget: LatentSet,
    retain: LatentSet,
    settings: UnlearnSettings,
    cache: GradientCache | None = None,
    *,
    probe: Probe | None = None,
    is_forgotten: Callable[[], float] | None = None,
    on_step: Callable[[TraceRow], None] | None = None,
    checkpoint_folder: Path | None = None,
    progress: bool = True,
) -> Trace:
    """Unlearn the forget set. The denoiser is changed in place and stays in evaluation mode throughout.

    Without dropout to draw from the global generator, a run depends on its settings and sets alone: one
    that was stopped and resumed from a checkpoint gives the same bits on a CPU as one that was not.

    Args:
        denoiser: the denoiser at θ₀, also where a run goes on; float32 or float64. What is frozen stays as it is.
        process: adds the noise.
        forget: forget set.
        retain: retain set.
        settings: how.
        cache: gradients at θ₀, for methods that want them.
        probe: held-out batches on which both losses are measured; needed for the safeguard.
        is_forgotten: share of the target forgotten by the model as it is now, 0–1, by whatever judge.
        on_step: called with every new row.
        checkpoint_folder: where checkpoints are kept; an unfinished run found there goes on.
        progress: whether to show a progress bar.

    Raises:
        ExpungeError: the settings need a cache or a probe that is not there; a checkpoint is broken or
            belongs to another run; a gradient is not finite, and then nothing of that step has been done.
    """
    if settings.safeguard is not None and probe is None:
        raise ExpungeError("safeguard is set but there is no probe; give one, or set safeguard to null")
    was_training = denoiser.training
    denoiser.eval()
    try:
        run = _Run(denoiser, process, forget, retain, settings, cache, probe, checkpoint_folder)
        with progress_bar(progress) as bar:
            task = bar.add_task("Unlearning", total=settings.steps, completed=len(run.rows), note="")
            while run.stopped() is None:
                row = run.step(is_forgotten)
                bar.update(task, completed=row.step, note=_described(row, run.last_check()))
                if on_step is not None:
                    on_step(row)
            bar.update(task, total=len(run.rows))
        return run.trace()
    finally:
        denoiser.train(was_training)


class _Run:
    """A run in progress: what it is made of, and its rows so far."""

    def __init__(
        self,
        denoiser: nn.Module,
        process: NoiseProcess,
        forget: LatentSet,
        retain: LatentSet,
        settings: UnlearnSettings,
        cache: GradientCache | None,
        probe: Probe | None,
        folder: Path | None,
    ) -> None:
        self.settings, self.forget, self.retain, self.probe, self.folder = (
            settings,
            forget,
            retain,
            probe,
            folder,
        )
        self.enough = math.inf if settings.stop_at is None else settings.stop_at
        self.problem = Problem(
            denoiser,
            process,
            settings.learning_rate or 0.0,
            settings.retain_weight,
            settings.forget_threshold,
            settings.alignment,
            forget,
            retain,
        )
        self.calibration = self._calibrate(cache) if settings.learning_rate is None else None
        self.method: Method = get_method(settings.method)()
        self.method.setup(self.problem, cache, settings.method_settings())
        self.forget_order = StratifiedSampler(
            forget.strata, settings.forget_batch_size, _seed(settings.seed, FORGET_ORDER)
        )
        order = (retain.strata, settings.retain_batch_size, _seed(settings.seed, RETAIN_ORDER))
        self.drift = DriftSampler(*order, settings.resampling) if settings.resampling else None
        self.retain_order: StratifiedSampler | DriftSampler = self.drift or StratifiedSampler(*order)
        if self.drift is not None:
            self.problem.on_retain = self._observe_drift
        self.safeguard = Safeguard(probe, self.problem, settings.safeguard) if probe and settings.safeguard else None
        self.probe_start = self.probe_last = probe.measure(self.problem) if probe else None
        self.pace = self._pace(settings.pace) if settings.pace else None
        self.rows: list[TraceRow] = []
        self.identity = settings.model_dump(mode="json", exclude=FREE_TO_CHANGE) | {
            "start": digest_of(self.problem.parameters),
            "forget_set": forget.digest(),
            "retain_set": retain.digest(),
            "gradient_cache": cache.key if cache else None,
        }
        if folder is not None:
            self._resume(folder)

    def step(self, is_forgotten: Callable[[], float] | None) -> TraceRow:
        """One step with its probe, check and checkpoint."""
        number, started = len(self.rows) + 1, time.perf_counter()
        probed = self.probe is not None and number % self.settings.probe_every == 0
        if self.pace is not None:
            self.pace.hold()
            self.problem.forget_weight = self.pace.forget_weight
        try:
            done = self._step_method(number - 1)
        except NonFiniteGradientError as error:
            raise ExpungeError(f"step {number}: {error}") from error
        pace = self.pace.scale() if self.pace is not None else 1.0
        share, losses = self._probe_step() if probed else (1.0, None)
        seconds = time.perf_counter() - started
        checked = is_forgotten is not None and self._wants_check(number, done.forget_loss)
        row = TraceRow(
            step=number,
            forget_loss=done.forget_loss,
            retain_loss=done.retain_loss,
            cosine=done.report.cosine,
            forget_coefficient=done.report.coefficients.forget,
            retain_coefficient=done.report.coefficients.retain,
            conflict=done.report.conflict,
            change_forget=done.report.change_forget,
            change_retain=done.report.change_retain,
            passes=done.passes + (self.calibration.passes if self.calibration and number == 1 else 0.0),
            seconds=seconds,
            pace=pace,
            learning_rate=self.problem.learning_rate * pace,
            step_share=share,
            probe_forget=losses.forget if losses else None,
            probe_retain=losses.retain if losses else None,
            forgotten=is_forgotten() if is_forgotten is not None and checked else None,
        )
        self.rows.append(row)
        if self.pace is not None:
            self.pace.learn(row.forget_loss, row.forgotten, self.enough)
        if self.folder is not None and (number % self.settings.checkpoint_every == 0 or self.stopped()):
            self._save(self.folder)
        return row

    def stopped(self) -> str | None:
        """Why the run is over, or None."""
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
        start = self.probe_start
        return Trace.model_validate(
            {
                "rows": tuple(self.rows),
                "stopped": self.stopped(),
                "probe_forget_start": start.forget if start else None,
                "probe_retain_start": start.retain if start else None,
                "calibration": self.calibration,
            }
        )

    def _pace(self, settings: PaceSettings) -> Pace:
        found, parameters = self.calibration, list(self.problem.parameters.values())
        most = found.limit / found.learning_rate if found else math.inf
        return Pace(settings, parameters, self.problem.forget_threshold, self.settings.check_every, most)

    def _wants_check(self, number: int, forget_loss: float | None) -> bool:
        if self.pace is not None:
            return self.pace.wants_check(forget_loss)
        return number % self.settings.check_every == 0

    def _calibrate(self, cache: GradientCache | None) -> Calibration:
        if cache is None:
            raise ExpungeError("learning_rate is null, but there is no gradient cache to measure it with; set a rate")
        sizes = (self.settings.forget_batch_size, self.settings.retain_batch_size)
        found = calibrate(self.problem, cache, *sizes, self.settings.seed)
        self.problem.learning_rate = found.learning_rate
        return found

    def _step_method(self, index: int) -> MethodStep:
        seed, count = self.settings.seed, self.method.retain_batches(self.retain_order.batches_to_cover())
        forget = draw_batch(
            self.forget,
            self.forget_order.batch(index),
            self.problem.process.levels,
            generator_of(seed, FORGET_NOISE, index),
        )
        return self.method.step(forget, [self._retain_batch(i) for i in range(index * count, (index + 1) * count)])

    def _retain_batch(self, number: int) -> Batch:
        indices = self.retain_order.batch(number)
        return draw_batch(
            self.retain,
            indices,
            self.problem.process.levels,
            generator_of(self.settings.seed, RETAIN_NOISE, number),
            self.settings.empty_share,
        )

    def _observe_drift(self, batch: Batch, losses: Tensor) -> None:
        """What a stratum's picture costs under the empty prompt says nothing of the stratum."""
        assert self.drift is not None
        empties = empties_of(len(batch), self.settings.empty_share)
        self.drift.observe(batch.indices[empties:], losses[empties:])

    def _probe_step(self) -> tuple[float, ProbeLosses]:
        assert self.probe is not None and self.probe_last is not None
        if self.safeguard is None:
            share, self.probe_last = 1.0, self.probe.measure(self.problem)
        else:
            share, self.probe_last = self.safeguard.settle(self.probe_last)
        return share, self.probe_last

    def _save(self, folder: Path) -> None:
        rows = [row.model_dump() for row in self.rows]
        optimiser = self.method.state_dict()
        if self.safeguard is not None:
            optimiser |= {f"before/{name}": t for name, t in self.safeguard.before.items()}
        if self.drift is not None:
            optimiser |= {f"drift/{name}": t for name, t in self.drift.state_dict().items()}
        parameters: dict[str, Tensor] = dict(self.problem.parameters)
        save_checkpoint(folder, Checkpoint(len(rows), self.identity, rows, parameters, optimiser))

    @torch.no_grad()
    def _resume(self, folder: Path) -> None:
        found = load_checkpoint(folder, self.identity)
        if found is None:
            return
        for name, parameter in self.problem.parameters.items():
            parameter.copy_(found.parameters[name])
        kept = {name: t for name, t in found.optimiser.items() if not name.startswith(("before/", "drift/"))}
        self.method.load_state_dict(kept)
        if self.drift is not None:
            self.drift.load_state_dict({name: found.optimiser[f"drift/{name}"] for name in self.drift.state_dict()})
        if self.safeguard is not None:
            for name, before in self.safeguard.before.items():
                before.copy_(found.optimiser[f"before/{name}"])
        self.rows = [TraceRow.model_validate(row) for row in found.rows]
        if self.pace is not None:
            for row in self.rows:
                self.pace.learn(row.forget_loss, row.forgotten, self.enough)
        measured = [row for row in self.rows if row.probe_forget is not None and row.probe_retain is not None]
        if measured:
            last = measured[-1]
            assert last.probe_forget is not None and last.probe_retain is not None
            self.probe_last = ProbeLosses(last.probe_forget, last.probe_retain)


def _seed(*numbers: int) -> int:
    return generator_of(*numbers).initial_seed()


def _described(row: TraceRow, forgotten: float | None) -> str:
    """Short, so that bar and counts beside it fit a terminal of 80 columns."""
    known = (("cosine", row.cosine, "+.2f"), ("forgotten", forgotten, ".0%"))
    return ", ".join(f"{name} {value:{form}}" for name, value, form in known if value is not None)
