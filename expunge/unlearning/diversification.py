"""Forget and retain sets: paired prompts, balanced strata, the target's neighbours always among the retained."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from expunge.case import Case
from expunge.judges.neighbouring_levels import neighbouring_levels
from expunge.metrics.diversity import mean_pairwise_distance, vendi_score
from expunge.metrics.unlearning_accuracy import not_found
from expunge.models.text_to_image import TextToImage
from expunge.pictures.drawing import draw_with_own_seeds
from expunge.pictures.picture_set import PictureSet, concatenate
from expunge.prompts.lost_words import refuse_lost_target
from expunge.prompts.pairing import InPlace, forget_prompts, put_in_place
from expunge.prompts.target import Target
from expunge.prompts.world import PICTURE, Prompt, World
from expunge.takedown.instead import NEIGHBOUR, read_instead
from expunge.takedown.names import same_name
from expunge.unlearning.unlearn_settings import IN_PLACE_OF, DiversificationSettings


@dataclass(frozen=True)
class Datasets:
    """A forget set and a retain set, with their diversity and the neighbours that were chosen."""

    forget: PictureSet
    retain: PictureSet
    facts: pd.DataFrame


def diversify(
    model: TextToImage,
    pool: PictureSet,
    case: Case,
    settings: DiversificationSettings,
    references: Mapping[str, np.ndarray] | None = None,
    first: TextToImage | None = None,
) -> Datasets:
    """Build the forget and retain sets of one run.

    The forget set holds, for each target, the pool's pictures of it, freshly drawn ones up to ``forget_size``, and the
    request's own reference pictures; each prompt has its paired sentence: what is to be drawn instead. The retain set
    holds the pool without any target, plus pictures of ``paired_size`` of each target's paired sentences; beside a
    memorised picture as many sentences that share a word with its captions, each a stratum of its own. What was
    forgotten before is left out of it, for it would come back; what the model now draws in its place is retained, and
    is to stay what the model predicts for the paired sentence.

    Args:
        model: the base model.
        pool: its pictures over the whole world, train side.
        case: targets, what was forgotten before, and the judges, whose CLIP finds neighbours and measures diversity.
        settings: sizes and seed.
        references: reference pictures by request id, uint8 ``(n, h, w, 3)`` of the model's size.
        first: the model before all takedowns, which draws everything but what stands in the place of earlier targets,
            and the pool; None: the base model draws that too.

    Raises:
        ExpungeError: a target is all that the model draws of its kind, or its prompts are longer than the model reads.
    """
    limited = case.limited(pool) if case.forgotten else case
    making = _Making(first or model, pool, limited, settings, references or {})
    forget = [part for target in case.targets for part in making.forget(target)]
    retain = [pool.where(lambda prompt: not case.asks_for_gone(prompt))]
    retain += [part for target in case.targets for part in (making.beside(target), making.endangered(target))]
    retain += [making.in_place(each, model) for each in case.forgotten]
    if case.forgotten:
        retain = [_standing_for_itself(part) for part in retain]
    facts = [(f"{IN_PLACE_OF}{each.name}", making.in_its_place(each)) for each in case.targets]
    sets = {"forget": concatenate(forget), "retain": concatenate(retain)}
    for name, made in sets.items():
        features = case.panel().clip.picture_features(made.pictures)
        facts += [
            (f"{name}: pictures", str(len(made))),
            (f"{name}: mean pairwise CLIP distance", f"{mean_pairwise_distance(features):.4f}"),
            (f"{name}: Vendi score", f"{vendi_score(features):.2f}"),
        ]
    return Datasets(sets["forget"], sets["retain"], pd.DataFrame(facts, columns=["set", "value"]))


class _Making:
    """The parts of both sets, target by target."""

    def __init__(
        self,
        model: TextToImage,
        pool: PictureSet,
        case: Case,
        settings: DiversificationSettings,
        references: Mapping[str, np.ndarray],
    ) -> None:
        self.model, self.pool, self.case, self.settings, self.references = model, pool, case, settings, references
        self.instead = {each: self._instead(each) for each in case.gone}
        rng = random.Random(settings.seed)
        self.known: dict[Target, PictureSet] = {}
        self.pairs: dict[Target, list[Prompt]] = {}
        self.wanted: dict[Target, list[Prompt]] = {}
        for target in case.targets:
            known = pool.where(target.matches)
            wanted = forget_prompts(target, case.world, "train", settings.forget_size, settings.seed + 1)
            refuse_lost_target(target, wanted, model.cut_off([prompt.text for prompt in wanted]))
            asked = [*known.prompts, *wanted[len(known) :]]
            self.pairs[target] = pairs = [self._in_place_of(prompt, rng) for prompt in asked]
            paired = [_paired(*each) for each in zip(asked, pairs, strict=True)]
            self.known[target] = replace(known, prompts=tuple(paired[: len(known)]))
            self.wanted[target] = paired[len(known) :]

    def forget(self, target: Target) -> list[PictureSet]:
        """What the pool has of the target, more of it, and the request's own pictures."""
        known, wanted = self.known[target], self.wanted[target]
        parts = [known, self._draw(wanted, target.name, f"Drawing forget set: {target.name}")]
        if (pictures := self.references.get(target.request_id)) is not None:
            asked = [*known.prompts, *wanted]
            captions = tuple(asked[i % len(asked)] for i in range(len(pictures)))
            parts.append(PictureSet(captions, tuple(range(len(pictures))), pictures))
        return [part for part in parts if len(part)]

    def beside(self, target: Target) -> PictureSet:
        """What is to be drawn in the target's place, for prompts spread over the forget set's."""
        pairs = self.pairs[target]
        spread = np.linspace(0, len(pairs) - 1, min(self.settings.paired_size, len(pairs))).astype(int)
        return self._draw([pairs[i] for i in spread], f"paired/{target.name}", f"Drawing in place of {target.name}")

    def endangered(self, target: Target) -> PictureSet:
        """What a memorised picture may take along: other prompts that share words with its captions, if there are any.

        Among all that is retained each of their subjects comes up too seldom to be held: forgetting a cat in the rain
        turned every cat of one style into a star.
        """
        asked: list[Prompt] = []
        if target.factor == PICTURE:
            captions = self.case.world.factors[PICTURE][target.levels[0]].train
            asked = [each for each in self._retained(4) if _share_words(each, captions, self.case.world)]
        spread = np.linspace(0, len(asked) - 1, min(self.settings.paired_size, len(asked))).astype(int)
        prompts = [asked[i].model_copy(update={"endangered": True}) for i in spread]
        return self._draw(prompts, f"endangered/{target.name}", f"Drawing what shares words with {target.name}")

    def in_place(self, earlier: Target, model: TextToImage) -> PictureSet:
        """What a model draws when asked for an earlier target; pictures in which that is still found are left out."""
        count, seed = self.settings.held_pictures, self.settings.seed
        asked = forget_prompts(earlier, self.case.world, "train", 4 * count, seed + 2)
        prompts = [prompt for prompt in asked if not self.case.asks_for_target(prompt)][:count]
        drawn = self._draw(prompts, f"held/{earlier.name}", f"Drawing in place of {earlier.name}", model)
        if not len(drawn):
            return drawn
        gone = not_found(earlier, self.case.panel().classifiers[earlier.factor].recognise(drawn.pictures))
        rng = random.Random(f"{seed}/{earlier.name}")
        held = drawn.select(np.flatnonzero(gone).tolist())
        return replace(held, prompts=tuple(_paired(each, self._in_place_of(each, rng)) for each in held.prompts))

    def in_its_place(self, target: Target) -> str:
        """In words."""
        instead = self.instead[target]
        return (
            ", ".join(instead.neighbours or [each.text for each in instead.sentences])
            if instead.what == NEIGHBOUR
            else instead.what
        )

    def _instead(self, target: Target) -> InPlace:
        what, named = read_instead(target.instead or self.settings.instead)
        if target.factor == PICTURE:
            return InPlace(what, sentences=self._sentences(target))
        nearest = neighbouring_levels(target, self.case.gone, self.case.world, self.case.panel())
        return InPlace(what, (named,) if named in nearest else tuple(nearest[: self.settings.neighbours]))

    def _sentences(self, picture: Target) -> tuple[Prompt, ...]:
        """The sentences nearest to a memorised picture's captions by CLIP, of those that share no word with them
        if there are any: what brings the copy out is its words, and in its place would stand the copy."""
        world, clip = self.case.world, self.case.panel().clip
        captions = world.factors[PICTURE][picture.levels[0]].train
        asked = self._retained(1)
        asked = [each for each in asked if not _share_words(each, captions, world)] or asked
        likeness = clip.text_features([prompt.text for prompt in asked]) @ clip.text_features(captions).mean(axis=0)
        return tuple(asked[i] for i in np.argsort(-likeness, kind="stable")[: self.settings.neighbours])

    def _retained(self, per_stratum: int) -> list[Prompt]:
        sampled = self.case.world.sample("train", per_stratum, self.settings.seed)
        return [each for each in sampled if not self.case.asks_for_gone(each)]

    def _draw(self, prompts: Sequence[Prompt], salt: str, label: str, model: TextToImage | None = None) -> PictureSet:
        model = model or self.model
        if not prompts:
            return PictureSet((), (), np.zeros((0, model.size, model.size, 3), np.uint8))
        salt = f"{self.settings.seed}/{salt}"
        return draw_with_own_seeds(model, prompts, salt, self.case.drawing, label, self.case.processes)

    def _in_place_of(self, prompt: Prompt, rng: random.Random) -> Prompt:
        """What is to be drawn where the prompt asks for a target, or for something forgotten before."""
        for target in self.case.gone:
            if target.matches(prompt):
                prompt = put_in_place(prompt, target, self.case.world, self.instead[target], rng)
        return prompt


def _share_words(prompt: Prompt, captions: Sequence[str], world: World) -> bool:
    """Whether something that a prompt asks for goes, by any of its names, by a word of the captions."""
    said = {word for caption in captions for word in same_name(caption).split()}
    asked = [
        (level, world.factors[factor][level]) for factor, level in prompt.factors.items() if factor in world.balanced
    ]
    names = (name for level, words in asked for name in (level, *words.train, *words.held_out))
    return any(said & set(same_name(name).split()) for name in names)


def _paired(prompt: Prompt, pair: Prompt) -> Prompt:
    return prompt.model_copy(update={"paired": pair.text})


def _standing_for_itself(pictures: PictureSet) -> PictureSet:
    """What has no paired sentence is to be drawn as it is."""
    prompts = (
        each if each.paired is not None else each.model_copy(update={"paired": each.text}) for each in pictures.prompts
    )
    return replace(pictures, prompts=tuple(prompts))
