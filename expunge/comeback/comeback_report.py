"""What the comes-back tests found, every number beside the original's and the never-saw model's."""

import math
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict

from expunge.comeback.classifier_guidance import ClassifierGuidance
from expunge.comeback.comeback_settings import ComebackSettings
from expunge.comeback.embedding_attack import EmbeddingAttack
from expunge.comeback.inpainting import Inpainting
from expunge.comeback.membership import Membership
from expunge.comeback.noise_injection import NoiseInjection
from expunge.comeback.prompt_search import PromptSearch
from expunge.comeback.reference_pictures import ReferencePictures
from expunge.comeback.relearning import HARMLESS, Relearning
from expunge.errors import ExpungeError
from expunge.metrics.numbers import Interval, complement

ORIGINAL, UNLEARNED, NEVER_SAW = "original", "unlearned", "never saw"
Sort = Literal["plain", "search", "picture", "trace"]


@dataclass(frozen=True)
class Outcome:
    """One test of one model as one number.

    Attributes:
        test: short name, the same for all models.
        sort: ``plain``, asked as anyone would; ``search``, something was tried to bring the target back; ``picture``,
            the model was handed pictures of it, or led by what was learnt from them; ``trace``, an AUC that looks for
            knowledge, not for pictures.
        value: share of pictures in which the target is found, or the AUC; 0–1. High: it is there.
        means: what was done, e.g. ``fine-tuning on its pictures``.
        detail: what sets it apart from others by the same means, e.g. the number of pictures.
    """

    test: str
    sort: Sort
    value: Interval
    means: str
    detail: str = ""


class ModelComeback(BaseModel):
    """All tests of one model.

    Attributes:
        name: as the caller calls it.
        digest: SHA-256 of its weights.
        relearning: UA while a copy is fine-tuned.
        embedding: search for a new word; None where the family knows no words.
        prompts: search over plain prompts; None where it takes no sentences.
        references: image-to-image; None where it does not redraw pictures.
        inpainting: filling a hole in its pictures; None, as of the two below, in reports that are older than the test.
        noise: fresh noise at every step of drawing.
        guidance: drawing led by a classifier.
        membership: forget set against fresh target pictures; None if the forget set is not known.
        knowledge: target pictures against others, without a prompt, relative to the original.
        untried: by test, why it was not made.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: str
    digest: str
    relearning: Relearning
    embedding: EmbeddingAttack | None
    prompts: PromptSearch | None
    references: ReferencePictures | None
    inpainting: Inpainting | None = None
    noise: NoiseInjection | None = None
    guidance: ClassifierGuidance | None = None
    membership: Membership | None
    knowledge: Membership
    untried: dict[str, str] = {}

    def outcomes(self) -> tuple[Outcome, ...]:
        """One number a test, the plain prompt first, AUCs last."""
        plain = complement(self.relearning.curves[0].points[0].unlearning_accuracy)
        found = [Outcome("plain prompt", "plain", plain, "asking plainly")]
        for curve in self.relearning.curves:
            share = complement(curve.points[-1].unlearning_accuracy)
            if curve.condition == HARMLESS:
                found.append(Outcome(f"relearned on {HARMLESS}", "search", share, "fine-tuning on pictures without it"))
            else:
                on = f"{curve.pictures}"
                found.append(Outcome(f"relearned on {on}", "search", share, "fine-tuning on its pictures", on))
        if self.embedding:
            found.append(Outcome("embedding", "search", self.embedding.found.after, "a searched-for word for its name"))
        if self.prompts:
            best = self.prompts.rows[0]
            detail = f"the best of {len(self.prompts.rows)}, by {best.way}: “{best.example}”"
            found.append(Outcome("best prompt", "search", self.prompts.confirmed, "another prompt", detail))
        for point in self.references.points if self.references else ():
            name = f"picture {point.strength:g}, asked for {point.asked}"
            detail = f"strength {point.strength:g}, asked for {'it' if point.asked == 'target' else point.asked}"
            found.append(Outcome(name, "picture", point.found, "redrawing noised pictures of it", detail))
        found += self._led()
        if self.membership:
            means = "telling the pictures it was unlearned on from fresh ones"
            found.append(Outcome("AUC forget set", "trace", self.membership.auc, means))
        return (*found, Outcome("AUC target", "trace", self.knowledge.auc, "denoising its pictures without a prompt"))

    def _led(self) -> list[Outcome]:
        """Where drawing itself was tampered with."""
        found = []
        for point in self.noise.points if self.noise else ():
            share, means = f"{point.share:g}", "fresh noise while drawing"
            found.append(Outcome(f"noise {share}", "search", point.found, means, f"share {share}"))
        if self.inpainting:
            means = "filling a hole in its pictures"
            found.append(Outcome("inpainting", "picture", self.inpainting.found, means))
        for led in self.guidance.points if self.guidance else ():
            scale, means = f"{led.scale:g}", "a classifier that leads to it"
            found.append(Outcome(f"guided {scale}", "picture", led.found, means, f"scale {scale}"))
        return found

    def numbers(self) -> dict[str, Interval]:
        """The values of all outcomes by test."""
        return {each.test: each.value for each in self.outcomes()}


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
        """Whether it is surely higher than the never-saw model's; None if there is no such model."""
        return None if self.never_saw is None else surely_higher(self.value, self.never_saw)


def surely_higher(first: Interval, second: Interval) -> bool:
    """Whether the 95 % interval of first − second lies above 0.

    Source: the two intervals are put together by Newcombe's method 10, *Interval estimation for the difference between
    independent proportions*, Statistics in Medicine 17 (1998); for other numbers, Zou and Donner's generalisation
    (MOVER), Statistics in Medicine 27 (2008). A no says that samples of this size do not show it.
    """
    gap = first.value - second.value
    return gap > math.hypot(first.value - first.low, second.high - second.value)


class ComebackReport(BaseModel):
    """The tests of all models.

    Attributes:
        target: its name.
        kind: of the request.
        factor: what it is a level of.
        models: the original first, then as given; none where nothing could be tested.
        settings: sizes, drawing and seed; the same for all models.
        untested: why nothing was tested; empty if it was.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    target: str
    kind: str
    factor: str
    models: tuple[ModelComeback, ...]
    settings: ComebackSettings
    untested: str = ""

    def model(self, name: str) -> ModelComeback:
        """The tests of one model.

        Raises:
            ExpungeError: there is none of that name.
        """
        names = [each.name for each in self.models]
        if name not in names:
            raise ExpungeError(f"model: '{name}' was not tested; tested were {', '.join(names)}.")
        return self.models[names.index(name)]

    @property
    def has_never_saw(self) -> bool:
        """Whether a model that never saw the target was tested beside."""
        return any(each.name == NEVER_SAW for each in self.models)

    def readings(self, name: str) -> tuple[Reading, ...]:
        """All numbers of one model beside the references'.

        Raises:
            ExpungeError: there is no model of that name.
        """
        original = self.models[0].numbers()
        never = self.model(NEVER_SAW).numbers() if self.has_never_saw else {}
        return tuple(
            Reading(test=test, value=value, original=original[test], never_saw=never.get(test))
            for test, value in self.model(name).numbers().items()
        )
