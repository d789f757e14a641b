"""Try to bring a target back."""

from typing import Annotated

from zenml import step

from expunge.comeback import try_comeback as run
from expunge.comeback.comeback_report import ComebackReport
from expunge.comeback.comeback_settings import ComebackSettings
from expunge.judges.load_panel import load_panel
from expunge.models.stable_diffusion import StableDiffusion
from expunge.pictures.picture_set import PictureSet
from expunge.prompts.load_world import load_world
from expunge.prompts.target import Target


@step
def try_comeback(
    original: StableDiffusion,
    unlearned: StableDiffusion,
    target: Target,
    world: str,
    judges: str,
    settings: ComebackSettings,
    never_saw: StableDiffusion | None = None,
    forget: PictureSet | None = None,
) -> Annotated[ComebackReport, "comeback"]:
    """All comes-back tests of one target, beside the original's and, if there is one, a never-saw model's."""
    world = load_world(world)
    panel = load_panel(judges, world)
    return run.try_comeback(original, unlearned, never_saw, target, world, panel, settings, forget)
