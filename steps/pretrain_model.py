"""Train the zoo's model."""

from typing import Annotated

from zenml import step

import materializers  # noqa: F401
from expunge.models.text_to_image import TextToImage
from expunge.zoo import recipe
from expunge.zoo.recipe import RecipeSettings


@step
def pretrain_model(settings: RecipeSettings) -> Annotated[TextToImage, "zoo_model"]:
    """Autoencoder first, then text encoder and denoiser on its latents."""
    return recipe.pretrain_model(settings)
