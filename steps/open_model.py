"""Open a model that is to be measured."""

from typing import Annotated

from zenml import step

import materializers  # noqa: F401
from expunge.models import resolver
from expunge.models.model_facts import ModelFacts
from expunge.models.text_to_image import TextToImage


@step(enable_cache=False)
def open_model(source: str, field: str) -> tuple[Annotated[TextToImage, "model"], Annotated[ModelFacts, "model_facts"]]:
    """From a folder, a hub, S3 or the registry. Later steps are cached by the model's own hash."""
    model, facts = resolver.open_model(source, field)
    return model, facts  # spelt out: ZenML counts the outputs here
