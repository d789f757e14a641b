"""Write the zoo's weights and card to a folder."""

from pathlib import Path
from typing import Annotated

from zenml import step

import materializers  # noqa: F401
from expunge.models.text_to_image import TextToImage
from expunge.pictures.picture_set import PictureSet
from expunge.zoo.publish import publish
from expunge.zoo.recipe import RecipeSettings, ZooScores
from expunge.zoo.zoo_panel import ZooJudges


@step(enable_cache=False)
def publish_zoo(
    model: TextToImage,
    judges: ZooJudges,
    scores: ZooScores,
    pictures: PictureSet,
    settings: RecipeSettings,
    folder: str,
) -> Annotated[str, "zoo_folder"]:
    """The weights, their card and a grid of pictures."""
    publish(model, judges, scores, pictures, settings, Path(folder))
    return folder
