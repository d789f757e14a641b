"""Unlearning with its curves in MLflow and its checkpoints on disk."""

import hashlib
import shutil
from pathlib import Path
from typing import TypeVar

from expunge.case import Case
from expunge.errors import present
from expunge.models.text_to_image import TextToImage
from expunge.release.registry import TrainingLog
from expunge.unlearning.launch import unlearned_by
from expunge.unlearning.loop import Hooks
from expunge.unlearning.trace import Trace, TraceRow
from expunge.unlearning.training_sets import TrainingSets
from expunge.unlearning.unlearn_settings import CheckSettings, UnlearnSettings

Model = TypeVar("Model", bound=TextToImage)
CHECKPOINTS = Path(".expunge") / "checkpoints"
CURVES = ("forget_loss", "retain_loss", "cosine", "change_forget", "change_retain", "learning_rate", "forgotten")


def unlearn_and_log(
    model: Model, sets: TrainingSets, case: Case, settings: UnlearnSettings, check: CheckSettings
) -> tuple[Model, Trace]:
    """As ``unlearned_by``; checkpoints are kept by what the run is made of, and removed when it is done."""
    key = present(sets.cache, "cache: there is none to know the run by").key
    folder = CHECKPOINTS / hashlib.sha256(f"{key}{settings.model_dump_json()}".encode()).hexdigest()[:16]
    names = ", ".join(target.name for target in case.targets)
    with TrainingLog(f"unlearn {names}", params={"method": settings.method, "gradient_cache": key}) as log:

        def write(row: TraceRow) -> None:
            values = {name: getattr(row, name) for name in CURVES}
            log.log(row.step, {name: value for name, value in values.items() if value is not None})

        unlearned, trace = unlearned_by(model, sets, case, settings, check, Hooks(write, folder))
    shutil.rmtree(folder, ignore_errors=True)
    return unlearned, trace
