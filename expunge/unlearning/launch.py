"""Unlearning by several processes at once: written down, done by them, and taken back."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors.torch import load_file

from expunge.case import Case
from expunge.errors import ExpungeError
from expunge.models.text_to_image import TextToImage
from expunge.processes import started
from expunge.progress import progress_bar
from expunge.unlearning.gradient_cache import GradientCache
from expunge.unlearning.job import measure_gradients, unlearn_model
from expunge.unlearning.loop import Hooks
from expunge.unlearning.problem import trained_parameters
from expunge.unlearning.ranks import OTHER
from expunge.unlearning.trace import Trace, TraceRow
from expunge.unlearning.training_sets import TrainingSets, save_sets
from expunge.unlearning.unlearn_settings import CheckSettings, ForgetSettings, GradientSettings, UnlearnSettings

Model = TypeVar("Model", bound=TextToImage)
GRACE = 10.0  # seconds for the others to tell what they found, when one process has ended with an error
LOOPBACK = {"GLOO_SOCKET_IFNAME": "lo", "NCCL_SOCKET_IFNAME": "lo"}  # they speak to nobody else


def gradients_of(
    model: TextToImage, sets: TrainingSets, case: Case, settings: GradientSettings, forgetting: ForgetSettings
) -> GradientCache:
    """As ``measure_gradients``, by as many processes as the case says."""
    if case.processes == 1:
        return measure_gradients(case.placed(model), sets, settings, forgetting)
    job = {"gradients": settings.model_dump(mode="json"), "forgetting": forgetting.model_dump(mode="json")}
    with _job(model, sets, case) as folder, progress_bar() as bar:
        task = bar.add_task(f"Measuring gradients in {case.processes} processes", total=1, note="")
        _run(folder, case, job)
        bar.update(task, completed=1)
        return GradientCache.load(folder / "made")


def unlearned_by(
    model: Model, sets: TrainingSets, case: Case, settings: UnlearnSettings, check: CheckSettings, hooks: Hooks
) -> tuple[Model, Trace]:
    """As ``unlearn_model``, by as many processes as the case says. The hooks are asked and told here."""
    if case.processes == 1:
        return unlearn_model(case.placed(model), sets, case, settings, check, hooks)
    job = {
        "unlearning": settings.model_dump(mode="json"),
        "check": check.model_dump(mode="json"),
        "checkpoints": str(hooks.checkpoint_folder.resolve()) if hooks.checkpoint_folder else None,
    }
    with _job(model, sets, case) as folder, progress_bar(hooks.progress) as bar:
        task = bar.add_task(f"Unlearning in {case.processes} processes", total=settings.steps, note="")

        def on_row(line: str) -> None:
            row = TraceRow.model_validate_json(line)
            bar.update(task, completed=row.step)
            if hooks.on_step is not None:
                hooks.on_step(row)

        _run(folder, case, job, on_row)
        trace = Trace.model_validate_json((folder / "made" / "trace.json").read_text(encoding="utf-8"))
        bar.update(task, total=len(trace.rows))
        twin = model.to_train(settings.trained)
        _copy(load_file(folder / "made" / "parameters.safetensors"), twin)
    return twin.trained(model), trace


@torch.no_grad()
def _copy(parameters: dict[str, torch.Tensor], twin: TextToImage) -> None:
    for name, parameter in trained_parameters(twin.denoiser).items():
        parameter.copy_(parameters[name])


@contextmanager
def _job(model: TextToImage, sets: TrainingSets, case: Case) -> Iterator[Path]:
    """A folder that holds what all jobs need, for as long as the block."""
    if not case.has_names:
        raise ExpungeError("hardware.processes: judges that have no name cannot be told to others; set it to 1")
    with tempfile.TemporaryDirectory(prefix="expunge-") as name:
        folder = Path(name)
        model.save(folder / "model")
        save_sets(sets, folder)
        yield folder


def _run(folder: Path, case: Case, job: dict[str, Any], on_row: Callable[[str], None] = lambda row: None) -> None:
    """Start all, and hand on what the first one reports.

    Raises:
        ExpungeError: one ended with an error.
    """
    told = job | {"case": case.model_dump(mode="json")}
    alone = LOOPBACK if case.device == "cpu" else {}
    with started("expunge.unlearning.rank_process", folder, case.processes, told, alone) as group:
        for row in group.reports(GRACE, OTHER):
            on_row(row)
