"""What the comes-back tests found, every number beside the original's and the never-saw model's."""

from pydantic import BaseModel, ConfigDict

from expunge.comeback.embedding_attack import EmbeddingAttack
from expunge.comeback.membership import Membership
from expunge.comeback.prompt_search import PromptSearch
from expunge.comeback.reference_pictures import ReferencePictures
from expunge.comeback.relearning import HARMLESS, Relearning, complement
from expunge.comeback.settings import ComebackSettings
from expunge.errors import ExpungeError
from expunge.evaluation import Interval

ORIGINAL, NEVER_SAW = "original", "never saw"


class ModelComeback(BaseModel):
    """All tests of one model.

    Attributes:
        name: as the caller calls it.
        digest: SHA-256 of its weights.
        relearning: UA while a copy is fine-tuned.
        embedding: search for a new word.
        prompts: search over plain prompts.
        references: image-to-image.
        membership: forget set against fresh target pictures; None if the forget set is not known.
        knowledge: target pictures against others, without a prompt, relative to the original.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: str
    digest: str
    relearning: Relearning
    embedding: EmbeddingAttack
    prompts: PromptSearch
    references: ReferencePictures
    membership: Membership | None
    knowledge: Membership

    def numbers(self) -> dict[str, Interval]:
        """One number a test, 0–1: shares of pictures in which the target is found, at last AUCs. High: it is there."""
        shares = {"plain prompt": complement(self.relearning.curves[0].points[0].unlearning_accuracy)}
        for curve in self.relearning.curves:
            on = HARMLESS if curve.condition == HARMLESS else f"{curve.pictures}"
            shares[f"relearned on {on}"] = complement(curve.points[-1].unlearning_accuracy)
        shares["embedding"] = self.embedding.found.after
        shares["best prompt"] = self.prompts.confirmed
        for point in self.references.points:
            shares[f"picture {point.strength:g}, asked for {point.asked}"] = point.found
        if self.membership:
            shares["AUC forget set"] = self.membership.auc
        return shares | {"AUC target": self.knowledge.auc}


class Reading(BaseModel):
    """One number of one model, beside those of the references.

    Attributes:
        test: which.
        value: the model's.
        original: the original's.
        never_saw: that of a model which never saw the target; None if there is none.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    test: str
    value: Interval
    original: Interval
    never_saw: Interval | None

    @property
    def comes_back(self) -> bool | None:
        """Whether the whole interval lies above the never-saw model's; None if there is no such model.

        Intervals that do not touch are a cautious rule: a no says that this sample does not show it.
        """
        return None if self.never_saw is None else self.value.low > self.never_saw.high


class ComebackReport(BaseModel):
    """The tests of all models.

    Attributes:
        target: its name.
        kind: of the request.
        factor: what it is a level of.
        models: the original first, then as given.
        settings: sizes, drawing and seed; the same for all models.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    target: str
    kind: str
    factor: str
    models: tuple[ModelComeback, ...]
    settings: ComebackSettings

    def model(self, name: str) -> ModelComeback:
        """The tests of one model.

        Raises:
            ExpungeError: there is none of that name.
        """
        names = [each.name for each in self.models]
        if name not in names:
            raise ExpungeError(f"model: '{name}' was not tested; tested were {', '.join(names)}.")
        return self.models[names.index(name)]

    def readings(self, name: str) -> tuple[Reading, ...]:
        """All numbers of one model beside the references'.

        Raises:
            ExpungeError: there is no model of that name.
        """
        original = self.models[0].numbers()
        never = self.model(NEVER_SAW).numbers() if any(each.name == NEVER_SAW for each in self.models) else {}
        return tuple(
            Reading(test=test, value=value, original=original[test], never_saw=never.get(test))
            for test, value in self.model(name).numbers().items()
        )
