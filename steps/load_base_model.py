"""Load the model that the takedowns are about."""

from typing import Annotated

from zenml import step

import materializers  # noqa: F401
from expunge.models.text_to_image import TextToImage
from expunge.release.base_model import BaseModelFacts, load_base
from expunge.takedown.inbox import Inbox
from expunge.takedown.object_store import open_store


@step(enable_cache=False)
def load_base_model(
    base_model: str, registered_model: str, inbox: str
) -> tuple[Annotated[TextToImage, "base_model"], Annotated[BaseModelFacts, "base_model_facts"]]:
    """The champion by its log, else the configured base. Later steps are cached by the model's own hash."""
    model, facts = load_base(base_model, Inbox(open_store(inbox), registered_model))
    if facts.note:
        print(f"Retained is what the champion draws, not what was drawn before all takedowns: {facts.note}")
    return model, facts  # spelt out: ZenML counts the outputs here
