"""Find everything that a run is about, once."""

from typing import Annotated

from zenml import step

import materializers  # noqa: F401
from expunge import case
from expunge.case import Case
from expunge.models.hardware import HardwareSettings
from expunge.pictures.drawing import DrawingSettings
from expunge.takedown.request import TakedownBatch


@step(enable_cache=False)
def resolve_case(
    world: str, judges: str, drawing: DrawingSettings, takedowns: TakedownBatch, hardware: HardwareSettings
) -> Annotated[Case, "case"]:
    """Targets, world, judges, drawing and device. Later steps are cached by the content of all of it."""
    return case.resolve_case(world, judges, drawing, takedowns, hardware)
