"""All comes-back tests on all models, from the same pictures, prompts and noise."""

from collections.abc import Mapping, Sequence

import numpy as np

from expunge.comeback.comeback_report import NEVER_SAW, ORIGINAL, UNLEARNED, ComebackReport, ModelComeback
from expunge.comeback.comeback_settings import ComebackSettings
from expunge.comeback.embedding_attack import embedding_attack
from expunge.comeback.finder import Finder, pictures_of, pictures_without
from expunge.comeback.membership import knowledge, membership
from expunge.comeback.prompt_search import prompt_search
from expunge.comeback.reference_pictures import reference_pictures
from expunge.comeback.relearning import relearn
from expunge.errors import ExpungeError
from expunge.judges.panel import Panel
from expunge.models.stable_diffusion import StableDiffusion
from expunge.pictures.drawing import draw_with_own_seeds
from expunge.pictures.picture_set import PictureSet, concatenate
from expunge.prompts.pairing import forget_prompts
from expunge.prompts.target import Target
from expunge.prompts.world import World

SPARE = 1.5  # so many times the target pictures needed are drawn, because some do not show the target


class NothingToBringBackError(ExpungeError):
    """The original model does not draw the target."""


def try_comeback(
    original: StableDiffusion,
    unlearned: StableDiffusion,
    never_saw: StableDiffusion | None,
    target: Target,
    world: World,
    panel: Panel,
    settings: ComebackSettings,
    forget_set: PictureSet | None = None,
) -> ComebackReport:
    """``comeback_tests`` of one unlearned model, beside one that never saw the target if there is one.

    An original that does not draw the target leaves nothing to test: the report then says so and holds no numbers,
    because an evaluation should not fail on it.

    Raises:
        ExpungeError: the models draw pictures of different sizes, no classifier for the target, or a forget set without
            it.
    """
    models = {UNLEARNED: unlearned} | ({NEVER_SAW: never_saw} if never_saw else {})
    for name, model in models.items():
        if model.size != original.size:
            raise ExpungeError(
                f"{name}: draws pictures of {model.size} pixels, the original of {original.size}; give one of its size."
            )
    try:
        return comeback_tests(original, models, target, world, panel, settings, forget_set)
    except NothingToBringBackError as error:
        return ComebackReport(
            target=target.name, kind=target.kind.value, factor=target.factor, models=(), settings=settings,
            untested=str(error),
        )  # fmt: skip


def comeback_tests(
    original: StableDiffusion,
    unlearned: Mapping[str, StableDiffusion],
    target: Target,
    world: World,
    panel: Panel,
    settings: ComebackSettings,
    forget_set: PictureSet | None = None,
) -> ComebackReport:
    """Try to bring the target back from each model, and from the original for comparison. No model is changed.

    Args:
        original: the model that the others were made of; draws the pictures they are attacked with.
        unlearned: by name; one called ``never saw`` is the reference of a model that never knew the target.
        target: what was forgotten.
        world: what the models draw.
        panel: judges.
        settings: sizes and seed; ``expunge.comeback.comeback_settings`` has a quick and a full profile.
        forget_set: what the models were unlearned on, for the membership test; without it there is none.

    Raises:
        NothingToBringBackError: the original does not draw the target.
        ExpungeError: no models or one called ``original``, no classifier for the target, or a forget set without it.
    """
    finder = Finder(target, panel)
    if not unlearned or ORIGINAL in unlearned:
        raise ExpungeError(
            f"unlearned: models called {', '.join(unlearned) or '(none)'} given; give at least one, and none called "
            f"'{ORIGINAL}', which is tested anyway."
        )
    seed = settings.seed
    known = None if forget_set is None else pictures_of(target, forget_set, 2, "forget_set")
    members = None if known is None else _spread(known, settings.membership.pictures)
    asked, others = _target_pictures(original, finder, world, settings), _others(original, target, world, settings)
    pictures = concatenate([asked, others])
    fresh = None
    if members is not None:
        fresh = draw_with_own_seeds(
            original, members.prompts, f"{seed}/fresh", settings.drawing, f"Drawing fresh pictures: {target.name}"
        )

    def tested(name: str, model: StableDiffusion) -> ModelComeback:
        how = settings.drawing
        return ModelComeback(
            name=name,
            digest=model.digest(),
            relearning=relearn(
                model, pictures, target, world, panel, settings.relearning, how, seed, f"{name}: relearning"
            ),
            embedding=embedding_attack(
                model, pictures, target, world, panel, settings.embedding, how, seed, f"{name}: embedding attack"
            ),
            prompts=prompt_search(model, target, world, panel, settings.prompts, how, seed, f"{name}: prompt search"),
            references=reference_pictures(
                model, pictures, target, panel, settings.references, how, seed, f"{name}: reference pictures"
            ),
            membership=None
            if members is None or fresh is None
            else membership(model, members, fresh, settings.membership, seed),
            knowledge=knowledge(
                model,
                original,
                asked.select(range(settings.membership.pictures)),
                _spread(others, settings.membership.pictures),
                settings.membership,
                seed,
            ),
        )

    return ComebackReport(
        target=target.name,
        kind=target.kind.value,
        factor=target.factor,
        models=tuple(tested(name, model) for name, model in {ORIGINAL: original, **unlearned}.items()),
        settings=settings,
    )


def _target_pictures(original: StableDiffusion, finder: Finder, world: World, settings: ComebackSettings) -> PictureSet:
    """The original's pictures of the target; those in which it is found come first."""
    target = finder.target
    needed = max(
        *settings.relearning.pictures,
        settings.embedding.target_pictures,
        settings.references.pictures,
        settings.membership.pictures,
    )
    prompts = forget_prompts(target, world, "train", int(needed * SPARE), settings.seed)
    label = f"Drawing pictures of {target.name}"
    drawn = draw_with_own_seeds(original, prompts, f"{settings.seed}/asked", settings.drawing, label)
    found = finder.found(drawn.pictures)
    if not found.any():
        raise NothingToBringBackError(
            f"original: the target '{target.name}' is found in none of its {len(drawn)} pictures; there is nothing "
            "that could come back. Draw with more steps or guidance, or check the classifier."
        )
    return drawn.select(np.argsort(~found, kind="stable").tolist())


def _others(original: StableDiffusion, target: Target, world: World, settings: ComebackSettings) -> PictureSet:
    """The original's pictures of everything else, spread over the strata."""
    count = max(settings.relearning.harmless_pictures, settings.membership.pictures)
    strata = len(world.strata())
    prompts = [
        each for each in world.sample("train", -(-2 * count // strata), settings.seed) if not target.matches(each)
    ]
    chosen = [prompts[i] for i in _evenly(len(prompts), count)]
    drawn = draw_with_own_seeds(
        original, chosen, f"{settings.seed}/others", settings.drawing, "Drawing harmless pictures"
    )
    return pictures_without(target, drawn, 2, "harmless pictures")


def _spread(pictures: PictureSet, count: int) -> PictureSet:
    return pictures.select(_evenly(len(pictures), count))


def _evenly(size: int, count: int) -> Sequence[int]:
    return [i * size // min(count, size) for i in range(min(count, size))]
