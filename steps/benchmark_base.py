"""Load the model that methods are compared on."""

from typing import Annotated

from zenml import step

import materializers  # noqa: F401
from expunge.models.resolver import load_text_to_image
from expunge.models.text_to_image import TextToImage


@step(enable_cache=False)
def benchmark_base(base_model: str) -> Annotated[TextToImage, "base_model"]:
    """The configured base, whatever the registry's champion. Later steps are cached by its own hash."""
    return load_text_to_image(base_model)
