"""Unlearning with its curves in MLflow and its checkpoints on disk."""

import hashlib
import shutil
from collections.abc import Sequence
from pathlib import Path

from expunge.judges.panel import Panel
from expunge.models.stable_diffusion import StableDiffusion
from expunge.pictures.drawing import DrawingSettings
from expunge.pictures.picture_set import PictureSet
from expunge.prompts.target import Target
from expunge.prompts.world import World
from expunge.release.registry import TrainingLog
from expunge.unlearning.gradient_cache import GradientCache
from expunge.unlearning.job import CheckSettings, unlearn_model
from expunge.unlearning.trace import Trace, TraceRow
from expunge.unlearning.unlearn_settings import UnlearnSettings

CHECKPOINTS = Path(".expunge") / "checkpoints"
CURVES = ("forget_loss", "retain_loss", "cosine", "change_forget", "change_retain", "learning_rate", "forgotten")


def unlearn_and_log(
    model: StableDiffusion,
    forget: PictureSet,
    retain: PictureSet,
    cache: GradientCache,
    targets: Sequence[Target],
    world: World,
    panel: Panel,
    settings: UnlearnSettings,
    check: CheckSettings,
    drawing: DrawingSettings,
) -> tuple[StableDiffusion, Trace]:
    """As ``unlearn_model``; checkpoints are kept by what the run is made of, and removed when it is done."""
    named = hashlib.sha256(f"{cache.key}{settings.model_dump_json()}".encode()).hexdigest()
    folder = CHECKPOINTS / named[:16]
    names = ", ".join(target.name for target in targets)
    with TrainingLog(f"unlearn {names}", params={"method": settings.method, "gradient_cache": cache.key}) as log:

        def write(row: TraceRow) -> None:
            values = {name: getattr(row, name) for name in CURVES}
            log.log(row.step, {name: value for name, value in values.items() if value is not None})

        unlearned, trace = unlearn_model(
            model, forget, retain, cache, targets, world, panel, settings, check, drawing, write, folder
        )
    shutil.rmtree(folder, ignore_errors=True)
    return unlearned, trace
