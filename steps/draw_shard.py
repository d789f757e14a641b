"""Draw one shard and let the judges look at it."""

from typing import Annotated

from zenml import step

import materializers  # noqa: F401
from expunge.case import Case
from expunge.evaluation.evaluation_settings import EvaluationSettings
from expunge.evaluation.evaluator import judge_shard
from expunge.judges.judged import JudgedPictures
from expunge.models.text_to_image import TextToImage
from expunge.pictures.drawing import draw_prompts
from expunge.pictures.picture_set import PictureSet
from expunge.pictures.shards import Shard
from steps.caching import BY_CODE


@step(cache_policy=BY_CODE)
def draw_shard(
    model: TextToImage, shard: Shard, case: Case, settings: EvaluationSettings
) -> tuple[Annotated[PictureSet, "pictures"], Annotated[JudgedPictures, "judged_pictures"]]:
    """Cached by the model's hash, prompts and seeds, so that the same shard again is not drawn. By one process whatever
    ``hardware.processes`` says: shards are steps, of which an orchestrator runs as many at once as it has room for."""
    drawn = draw_prompts(case.placed(model), shard.prompts, shard.seeds, case.drawing)
    return drawn, judge_shard(drawn, case, settings)
