"""The model a run starts from."""

from pydantic import BaseModel, ConfigDict

from expunge.models.resolver import open_model
from expunge.models.text_to_image import TextToImage
from expunge.release.registry import Registry


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


def load_base(base_model: str, registered_model: str) -> tuple[TextToImage, BaseModelFacts]:
    """The champion of ``registered_model``, else ``base_model``.

    Raises:
        ExpungeError: the model is not there or cannot be loaded.
    """
    registry = Registry(name=registered_model)
    champion = registry.champion()
    source = f"models:/{champion.name}/{champion.version}" if champion else base_model
    model, facts = open_model(source, "base_model")
    return model, BaseModelFacts(source=source, version=champion.version if champion else None, digest=facts.digest)
