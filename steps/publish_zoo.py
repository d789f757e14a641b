"""Write the zoo's weights and card to a folder."""

from pathlib import Path
from typing import Annotated

from zenml import step

from expunge.models.picture_set import PictureSet
from expunge.models.stable_diffusion import StableDiffusion
from expunge.zoo.judges import ZooJudges
from expunge.zoo.publish import publish
from expunge.zoo.recipe import RecipeSettings, ZooScores


@step(enable_cache=False)
def publish_zoo(
    model: StableDiffusion,
    judges: ZooJudges,
    scores: ZooScores,
    pictures: PictureSet,
    settings: RecipeSettings,
    folder: str,
) -> Annotated[str, "zoo_folder"]:
    """The weights, their card and a grid of pictures."""
    publish(model, judges, scores, pictures, settings, Path(folder))
    return folder
