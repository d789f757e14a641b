"""Draw one shard and let the judges look at it."""

from typing import Annotated

from zenml import step

from expunge.datasets import DrawingSettings
from expunge.evaluation_service.plan import Shard
from expunge.evaluation_service.run import judge_shard
from expunge.metrics.judged import JudgedPictures
from expunge.metrics.judges import load_panel
from expunge.models.picture_set import PictureSet
from expunge.models.stable_diffusion import StableDiffusion
from expunge.prompts.sources import load_prompt_grid


@step
def draw_shard(
    model: StableDiffusion, shard: Shard, prompt_grid: str, judges: str, drawing: DrawingSettings
) -> tuple[Annotated[PictureSet, "pictures"], Annotated[JudgedPictures, "judged_pictures"]]:
    """Cached by the model's hash, prompts and seeds, so that another target on the same models draws only its own."""
    drawn = model.draw_prompts(shard.prompts, shard.seeds, **drawing.model_dump())
    judged = judge_shard(drawn, load_panel(judges, load_prompt_grid(prompt_grid)))
    return drawn, judged
