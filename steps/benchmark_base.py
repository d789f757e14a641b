"""Load the model that methods are compared on."""

from typing import Annotated

from zenml import step

import materializers  # noqa: F401
from expunge.models.resolver import load_text_to_image
from expunge.models.text_to_image import TextToImage
from expunge.release.base_model import BaseModelFacts


@step(enable_cache=False)
def benchmark_base(
    base_model: str,
) -> tuple[Annotated[TextToImage, "base_model"], Annotated[BaseModelFacts, "base_model_facts"]]:
    """The configured base, whatever the registry's champion. Later steps are cached by its own hash."""
    model = load_text_to_image(base_model)
    return model, BaseModelFacts(source=base_model, version=None, digest=model.digest())
