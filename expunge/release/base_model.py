"""The model a run starts from."""

from pydantic import BaseModel, ConfigDict

from expunge.models.resolver import open_model
from expunge.models.text_to_image import TextToImage
from expunge.release.promotion import follow
from expunge.release.registry import Registry
from expunge.takedown.inbox import Inbox


class BaseModelFacts(BaseModel):
    """Where the base model came from.

    Attributes:
        source: as configured, or ``models:/NAME/VERSION`` for a champion.
        version: the champion's version, None if there was none.
        digest: SHA-256 of its weights.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    source: str
    version: int | None
    digest: str


def load_base(base_model: str, inbox: Inbox) -> tuple[TextToImage, BaseModelFacts]:
    """The champion of the model that the inbox is opened for, by its champion log; else ``base_model``.

    Raises:
        ExpungeError: the model is not there or cannot be loaded.
    """
    name = inbox.champions.model
    champion = follow(inbox.champions, Registry(name=name))
    source = f"models:/{name}/{champion}" if champion else base_model
    model, facts = open_model(source, "base_model")
    return model, BaseModelFacts(source=source, version=champion, digest=facts.digest)
