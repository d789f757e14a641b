"""Draw the base model's pictures that the retain set is made of."""

from typing import Annotated

from zenml import step

import materializers  # noqa: F401
from expunge.case import Case
from expunge.models.text_to_image import TextToImage
from expunge.pictures.picture_set import PictureSet
from expunge.pictures.picture_store import PictureStore, draw_shards
from expunge.pictures.shards import plan_over_world
from expunge.unlearning.unlearn_settings import DiversificationSettings
from steps.caching import BY_CODE


@step(cache_policy=BY_CODE)
def draw_pool(model: TextToImage, case: Case, settings: DiversificationSettings) -> Annotated[PictureSet, "pool"]:
    """Over the whole world, train side, balanced over its strata; it depends on no target. The evaluation takes it
    from the store."""
    shards = plan_over_world(case.world, "train", settings.pool_per_stratum, settings.seed)
    placed, label = case.placed(model), "Drawing train world"
    return draw_shards(placed, shards, case.drawing, PictureStore(), label, case.processes)
