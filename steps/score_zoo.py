"""Score the zoo."""

from typing import Annotated

from zenml import step

import materializers  # noqa: F401
from expunge.models.text_to_image import TextToImage
from expunge.pictures.drawing import DrawingSettings
from expunge.pictures.picture_set import PictureSet
from expunge.zoo.recipe import ZooScores, score
from expunge.zoo.zoo_panel import ZooJudges


@step
def score_zoo(
    model: TextToImage, judges: ZooJudges, drawing: DrawingSettings
) -> tuple[Annotated[ZooScores, "zoo_scores"], Annotated[PictureSet, "zoo_pictures"]]:
    """Every subject in every style from three seeds, judged by classifiers and CLIP."""
    scores, pictures = score(model, judges.panel(), drawing)
    return scores, pictures  # spelt out: ZenML counts the outputs here
