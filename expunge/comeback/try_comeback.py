"""All comes-back tests on all models, from the same pictures, prompts and noise."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from expunge.case import Case
from expunge.comeback.classifier_guidance import classifier_guidance
from expunge.comeback.comeback_report import ORIGINAL, ComebackReport, ModelComeback
from expunge.comeback.comeback_settings import ComebackSettings
from expunge.comeback.embedding_attack import embedding_attack
from expunge.comeback.inpainting import inpainting
from expunge.comeback.membership import knowledge, membership
from expunge.comeback.noise_injection import noise_injection
from expunge.comeback.prompt_search import prompt_search
from expunge.comeback.reference_pictures import reference_pictures
from expunge.comeback.relearning import relearn
from expunge.comeback.trial import Trial
from expunge.errors import ExpungeError, UnsupportedError
from expunge.models.text_to_image import TextToImage
from expunge.pictures.picture_set import PictureSet, concatenate
from expunge.prompts.target import Target

Found = TypeVar("Found")
SPARE = 1.5  # so many times the target pictures needed are drawn, because some do not show the target


def try_comeback(
    original: TextToImage,
    models: Mapping[str, TextToImage],
    case: Case,
    target: Target,
    settings: ComebackSettings,
    forget_set: PictureSet | None = None,
) -> ComebackReport:
    """Try to bring the target back from each model, and from the original for comparison. No model is changed.

    An original that does not draw the target leaves nothing to test: the report then says so and holds no numbers.

    Args:
        original: the model that the others were made of; draws the pictures they are attacked with.
        models: by name; one called ``never saw`` is the reference of a model that never knew the target.
        case: world and judges.
        target: what was forgotten.
        settings: sizes, drawing and seed; ``expunge.comeback.comeback_settings`` has a quick and a full profile.
        forget_set: what the models were unlearned on, for the membership test; without it there is none.

    Raises:
        ExpungeError: no models, one called ``original`` or one of another size, no classifier for the target, or a
            forget set without it.
    """
    trial = Trial(case.drawn_with(settings.drawing), target, settings.seed)
    _check(original, models)
    known = None if forget_set is None else trial.with_target(forget_set, 2, "forget_set")
    asked = _target_pictures(original, trial, settings)
    found = trial.found(asked.pictures)
    facts: dict[str, Any] = {
        "target": target.name,
        "kind": target.kind.value,
        "factor": target.factor,
        "settings": settings,
    }
    if not found.any():
        untested = (
            f"original: the target '{target.name}' is found in none of its {len(asked)} pictures; there is nothing "
            "that could come back. Draw with more steps or guidance, or check the classifier."
        )
        return ComebackReport(models=(), untested=untested, **facts)
    asked = asked.select(np.argsort(~found, kind="stable").tolist())  # those that show it come first
    evidence = _Evidence.gathered(original, asked, known, trial, settings)
    tested = [_tested(name, model, evidence, trial, settings) for name, model in {ORIGINAL: original, **models}.items()]
    return ComebackReport(models=tuple(tested), **facts)


def _check(original: TextToImage, models: Mapping[str, TextToImage]) -> None:
    if not models or ORIGINAL in models:
        raise ExpungeError(
            f"models: called {', '.join(models) or '(none)'} given; give at least one, and none called "
            f"'{ORIGINAL}', which is tested anyway."
        )
    for name, model in models.items():
        if model.size != original.size:
            raise ExpungeError(
                f"{name}: draws pictures of {model.size} pixels, the original of {original.size}; give one of its size."
            )


@dataclass(frozen=True)
class _Evidence:
    """The original's pictures that all models are tested with.

    Attributes:
        asked: of the target.
        others: of everything else, spread over the strata.
        members: target pictures that the models were unlearned on; None if they are not known.
        fresh: of the same prompts from other noise.
    """

    original: TextToImage
    asked: PictureSet
    others: PictureSet
    members: PictureSet | None
    fresh: PictureSet | None

    @classmethod
    def gathered(
        cls,
        original: TextToImage,
        asked: PictureSet,
        known: PictureSet | None,
        trial: Trial,
        settings: ComebackSettings,
    ) -> "_Evidence":
        """Draw what is missing."""
        others = _others(original, trial, settings)
        if known is None:
            return cls(original, asked, others, None, None)
        members = _spread(known, settings.membership.pictures)
        label = f"Drawing fresh pictures: {trial.target.name}"
        return cls(original, asked, others, members, trial.draw(original, list(members.prompts), "fresh", label))


def _tested(
    name: str, model: TextToImage, evidence: _Evidence, trial: Trial, settings: ComebackSettings
) -> ModelComeback:
    pictures, few = concatenate([evidence.asked, evidence.others]), settings.membership.pictures
    told, seed = None, trial.seed
    if evidence.members is not None and evidence.fresh is not None:
        told = membership(model, evidence.members, evidence.fresh, settings.membership, seed)
    untried: dict[str, str] = {}

    def tried(test: str, made: Callable[[], Found]) -> Found | None:
        try:
            return made()
        except UnsupportedError as error:  # there is no such thing in this family; the report says so
            untried[test] = str(error)
            return None

    shown, others = evidence.asked.select(range(few)), _spread(evidence.others, few)
    return ModelComeback(
        name=name,
        digest=model.digest(),
        relearning=relearn(model, pictures, trial, settings.relearning, f"{name}: relearning"),
        embedding=tried(
            "embedding", lambda: embedding_attack(model, pictures, trial, settings.embedding, f"{name}: embedding")
        ),
        prompts=tried("best prompt", lambda: prompt_search(model, trial, settings.prompts, f"{name}: prompts")),
        references=tried(
            "pictures", lambda: reference_pictures(model, pictures, trial, settings.references, f"{name}: pictures")
        ),
        inpainting=inpainting(model, pictures, trial, settings.inpainting),
        noise=noise_injection(model, trial, settings.noise, f"{name}: noise"),
        guidance=classifier_guidance(model, pictures, trial, settings.guidance, f"{name}: guidance"),
        membership=told,
        knowledge=knowledge(model, evidence.original, shown, others, settings.membership, seed),
        untried=untried,
    )


def _target_pictures(original: TextToImage, trial: Trial, settings: ComebackSettings) -> PictureSet:
    needed = max(
        *settings.relearning.pictures,
        settings.embedding.target_pictures,
        settings.references.pictures,
        settings.inpainting.pictures,
        settings.membership.pictures,
    )
    prompts = trial.asked("train", int(needed * SPARE))
    return trial.draw(original, prompts, "asked", f"Drawing pictures of {trial.target.name}")


def _others(original: TextToImage, trial: Trial, settings: ComebackSettings) -> PictureSet:
    count = max(settings.relearning.harmless_pictures, settings.membership.pictures)
    world = trial.case.world
    sampled = world.sample("train", -(-2 * count // len(world.strata())), settings.seed)
    prompts = [each for each in sampled if not trial.target.matches(each)]
    chosen = [prompts[i] for i in _evenly(len(prompts), count)]
    drawn = trial.draw(original, chosen, "others", "Drawing harmless pictures")
    return trial.without_target(drawn, 2, "harmless pictures")


def _spread(pictures: PictureSet, count: int) -> PictureSet:
    return pictures.select(_evenly(len(pictures), count))


def _evenly(size: int, count: int) -> Sequence[int]:
    return [i * size // min(count, size) for i in range(min(count, size))]
