"""Draw one shard and let the judges look at it."""

from typing import Annotated

from zenml import step

import materializers  # noqa: F401
from expunge.evaluation.evaluate_models import judge_shard
from expunge.evaluation.plan import Shard
from expunge.judges.judged import JudgedPictures
from expunge.judges.load_panel import load_panel
from expunge.models.text_to_image import TextToImage
from expunge.pictures.drawing import DrawingSettings, draw_prompts
from expunge.pictures.picture_set import PictureSet
from expunge.prompts.load_world import load_world


@step
def draw_shard(
    model: TextToImage, shard: Shard, world: str, judges: str, drawing: DrawingSettings
) -> tuple[Annotated[PictureSet, "pictures"], Annotated[JudgedPictures, "judged_pictures"]]:
    """Cached by the model's hash, prompts and seeds, so that another target on the same models draws only its own."""
    drawn = draw_prompts(model, shard.prompts, shard.seeds, drawing)
    judged = judge_shard(drawn, load_panel(judges, load_world(world)))
    return drawn, judged
