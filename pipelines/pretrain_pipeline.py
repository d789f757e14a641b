"""Make the zoo again from the icon packages: model, judges, scores, card."""

from zenml import pipeline

from expunge.pictures.drawing import DrawingSettings
from expunge.zoo.recipe import RecipeSettings
from steps.pretrain_judges import pretrain_judges
from steps.pretrain_model import pretrain_model
from steps.publish_zoo import publish_zoo
from steps.score_zoo import score_zoo


@pipeline(dynamic=True, enable_cache=True)
def pretrain_pipeline(
    recipe: RecipeSettings = RecipeSettings(),  # noqa: B008
    drawing: DrawingSettings = DrawingSettings(),  # noqa: B008
    folder: str = ".expunge/zoo",
) -> None:
    """Train and score the zoo and write it to ``folder``; to ship it, copy that to ``expunge/zoo/weights``.

    Args:
        recipe: how long each part is trained.
        drawing: how the scored pictures are drawn.
        folder: where model, judges and card go.
    """
    model = pretrain_model(recipe)
    judges = pretrain_judges(recipe)
    scores, pictures = score_zoo(model, judges, drawing)
    publish_zoo(model, judges, scores, pictures, recipe, folder)
