"""Try to bring a target back."""

from typing import Annotated

from zenml import step

from expunge.comeback import run
from expunge.comeback.report import ComebackReport
from expunge.comeback.settings import ComebackSettings
from expunge.metrics.judges import load_panel
from expunge.models.picture_set import PictureSet
from expunge.models.stable_diffusion import StableDiffusion
from expunge.prompts.sources import load_prompt_grid
from expunge.prompts.target import Target


@step
def try_comeback(
    original: StableDiffusion,
    unlearned: StableDiffusion,
    target: Target,
    prompt_grid: str,
    judges: str,
    settings: ComebackSettings,
    never_saw: StableDiffusion | None = None,
    forget: PictureSet | None = None,
) -> Annotated[ComebackReport, "comeback"]:
    """All comes-back tests of one target, beside the original's and, if there is one, a never-saw model's."""
    grid = load_prompt_grid(prompt_grid)
    panel = load_panel(judges, grid)
    return run.try_comeback(original, unlearned, never_saw, target, grid, panel, settings, forget)
