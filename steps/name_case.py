"""Find what an evaluation is about, once."""

from typing import Annotated

from zenml import step

import materializers  # noqa: F401
from expunge import case
from expunge.case import Case
from expunge.models.hardware import HardwareSettings
from expunge.pictures.drawing import DrawingSettings


@step(enable_cache=False)
def name_case(
    targets: list[str], world: str, judges: str, drawing: DrawingSettings, hardware: HardwareSettings
) -> Annotated[Case, "case"]:
    """``KIND:NAME`` each, in that world. Later steps are cached by the content of all of it."""
    return case.name_case(targets, world, judges, drawing, hardware)
