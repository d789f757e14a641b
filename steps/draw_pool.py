"""Draw the pictures that the retain set is made of."""

from typing import Annotated

from zenml import step

import materializers  # noqa: F401
from expunge.case import Case
from expunge.models.text_to_image import TextToImage
from expunge.pictures.picture_set import PictureSet
from expunge.pictures.picture_store import PictureStore, draw_shards
from expunge.pictures.shards import cut, plan_over_world
from expunge.release.base_model import BaseModelFacts, open_first
from expunge.unlearning.unlearn_settings import DiversificationSettings
from steps.caching import BY_CODE


@step(cache_policy=BY_CODE)
def draw_pool(
    model: TextToImage, facts: BaseModelFacts, case: Case, settings: DiversificationSettings
) -> Annotated[PictureSet, "pool"]:
    """Over the whole world, train side, balanced over its strata, by the model before all takedowns. Of the first of
    these it depends on no target, and the evaluation takes it from the store; later what is forgotten is not drawn
    again."""
    shards = plan_over_world(case.world, "train", settings.pool_per_stratum, settings.seed)
    if (first := open_first(facts)) is not None:
        asked = [prompt for shard in shards for prompt in shard.prompts if case.is_measured(prompt)]
        shards = cut("train", "", asked, settings.seed)
    placed, label = case.placed(first or model), "Drawing train world"
    return draw_shards(placed, shards, case.drawing, PictureStore(), label, case.processes)
