"""Train the zoo's judges."""

from typing import Annotated

from zenml import step

import materializers  # noqa: F401
from expunge.zoo import recipe
from expunge.zoo.recipe import RecipeSettings
from expunge.zoo.zoo_panel import ZooJudges


@step
def pretrain_judges(settings: RecipeSettings) -> Annotated[ZooJudges, "zoo_judges"]:
    """Two classifiers and CLIP; they share nothing with the model."""
    return recipe.pretrain_judges(settings)
