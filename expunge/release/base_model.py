"""The model a run starts from, and the one that all takedowns began with."""

from pydantic import BaseModel, ConfigDict

from expunge.errors import ExpungeError
from expunge.models.resolver import open_model
from expunge.models.text_to_image import TextToImage
from expunge.release.model_version import ModelVersion
from expunge.release.promotion import follow
from expunge.release.registry import Registry
from expunge.takedown.inbox import Inbox

FIRST = "sha256_first_model"  # a version's tag


class FirstModel(BaseModel):
    """The model before all takedowns: what it draws and predicts is retained, less what is forgotten.

    What the last champion draws would do for one takedown; after many its errors have added up.

    Attributes:
        source: as configured.
        digest: SHA-256 of its weights.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    source: str
    digest: str


class BaseModelFacts(BaseModel):
    """Where the base model came from.

    Attributes:
        source: as configured, or ``models:/NAME/VERSION`` for a champion.
        version: the champion's version, None if there was none.
        digest: SHA-256 of its weights.
        first: the model before all takedowns; None if that is the base itself, or not at hand.
        note: why it is not at hand.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    source: str
    version: int | None
    digest: str
    first: FirstModel | None = None
    note: str = ""

    @property
    def first_digest(self) -> str:
        """Of the model that the line of versions began with; empty where that is not known."""
        if self.first:
            return self.first.digest
        return "" if self.version else self.digest


def load_base(base_model: str, inbox: Inbox) -> tuple[TextToImage, BaseModelFacts]:
    """The champion of the model that the inbox is opened for, by its champion log; else ``base_model``.

    Raises:
        ExpungeError: the model is not there or cannot be loaded.
    """
    name = inbox.champions.model
    registry = Registry(name=name)
    champion = follow(inbox.champions, registry)
    if champion is None:
        model, facts = open_model(base_model, "base_model")
        return model, BaseModelFacts(source=base_model, version=None, digest=facts.digest)
    source = f"models:/{name}/{champion}"
    model, facts = open_model(source, "base_model")
    first, note = first_of(base_model, registry.get(champion))
    return model, BaseModelFacts(source=source, version=champion, digest=facts.digest, first=first, note=note)


def open_first(facts: BaseModelFacts) -> TextToImage | None:
    """The model before all takedowns; None where the base is to be asked instead.

    Raises:
        ExpungeError: it is not there any more, or is another by now.
    """
    if facts.first is None:
        return None
    model, found = open_model(facts.first.source, "base_model")
    if found.digest != facts.first.digest:
        raise ExpungeError(f"base_model: '{facts.first.source}' changed while the run was going; start the run again.")
    return model


def first_of(base_model: str, champion: ModelVersion) -> tuple[FirstModel | None, str]:
    """The configured base, if the champion's line of versions began with it; else why not."""
    began_with = champion.tags.get(FIRST, "")
    instead = f"what version {champion.version} draws is retained"
    if not began_with:
        return None, f"version {champion.version} does not say which model its line began with: {instead}"
    try:
        _, facts = open_model(base_model, "base_model")
    except ExpungeError as error:
        return None, f"{error} Until then {instead}."
    if facts.digest != began_with:
        return (
            None,
            f"base_model: '{base_model}' is not the model that version {champion.version} began with: {instead}",
        )
    return FirstModel(source=base_model, digest=facts.digest), ""
