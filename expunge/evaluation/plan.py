"""What is to be drawn: prompts and seeds, cut into shards. It depends on case and settings, on no model."""

import random
from collections.abc import Sequence

from expunge.case import Case
from expunge.evaluation.evaluation_settings import EvaluationSettings
from expunge.judges.neighbouring_levels import neighbouring_levels
from expunge.pictures.shards import Shard, cut, over_the_world
from expunge.prompts.compositions import COMPOSITIONS, compositions
from expunge.prompts.pairing import InPlace, forget_prompts, put_in_place
from expunge.prompts.target import Target
from expunge.prompts.variants import WORDINGS, variants
from expunge.prompts.world import PICTURE, Prompt, Side
from expunge.takedown.instead import NEIGHBOUR, read_instead

HELD_OUT: Side = "held_out"  # over the whole world, as the next
TRAIN: Side = "train"
TARGET, EARLIER = "target", "earlier"  # held-out wordings of what is, and of what was to be forgotten
COMPOSITION = "composition"
IN_PLACE = "in_place"  # the target's sentences with a neighbour; drawn by the model measured against alone, as the next
REFERENCE = "reference"


def plan_evaluation(case: Case, settings: EvaluationSettings) -> list[Shard]:
    """Every shard of an evaluation; those over the world are the same whatever the targets, the reference comes last.

    The reference asks with held-out wordings too, chosen and drawn from other seeds: FD before is then how far two
    samples of one model lie apart, and nothing of it a difference of wordings.

    Raises:
        ExpungeError: the judges, by whom neighbours are found, are not there.
    """
    world, seed, size = case.world, settings.seed, settings.shard_size
    held_out = over_the_world(world, HELD_OUT, settings.held_out(world), seed)
    parts: list[tuple[str, str, Sequence[Prompt]]] = [(HELD_OUT, "", held_out)]
    alone: list[tuple[str, str, Sequence[Prompt]]] = []
    for target in case.targets:
        known = sum(target.matches(prompt) for prompt in held_out)
        asked = forget_prompts(target, world, HELD_OUT, max(0, settings.target_pictures - known), seed + 1)
        parts.append((TARGET, label(target), asked))
        whole = [*filter(target.matches, held_out), *asked]
        alone.append((IN_PLACE, label(target), with_neighbour(whole, target, case, seed)))
        for group in WORDINGS if settings.wording_pictures else ():
            parts.append((group, label(target), variants(target, world, group, settings.wording_pictures, seed + 2)))
        for group in COMPOSITIONS if settings.composition_pictures else ():
            near = compositions(target, world, group, settings.composition_pictures, seed + 3, case.gone)
            parts.append((composition_part(group), label(target), near))
    for target in case.forgotten:
        asked = forget_prompts(target, world, HELD_OUT, settings.earlier_pictures, seed + 1)
        parts.append((EARLIER, label(target), asked))
    train = over_the_world(world, TRAIN, settings.train(world), settings.train_seed)
    reference = over_the_world(world, HELD_OUT, settings.reference_pictures, seed + 4)
    return [
        *(shard for part, target, prompts in parts for shard in cut(part, target, prompts, seed, size)),
        *cut(TRAIN, "", train, settings.train_seed, size),
        *(shard for part, target, prompts in alone for shard in cut(part, target, prompts, seed, size)),
        *cut(REFERENCE, "", reference, seed, size),
    ]


def paired(shards: Sequence[Shard]) -> list[Shard]:
    """Those that both models draw; the others come last."""
    return [shard for shard in shards if shard.part not in (IN_PLACE, REFERENCE)]


def with_neighbour(asked: Sequence[Prompt], target: Target, case: Case, seed: int) -> list[Prompt]:
    """The sentences with the target's nearest neighbour in its place, or with the one that its request names.

    None for a memorised picture, which has no neighbours, and where nothing of the target's kind is left.
    """
    gone = {level for each in case.gone if each.factor == target.factor for level in each.levels}
    if target.factor == PICTURE or gone >= set(case.world.factors[target.factor]):
        return []
    nearest = neighbouring_levels(target, case.gone, case.world, case.panel())
    _, named = read_instead(target.instead or NEIGHBOUR)
    instead = InPlace(NEIGHBOUR, (named if named in nearest else nearest[0],))
    rng = random.Random(f"{seed}/{label(target)}")
    return [put_in_place(each, target, case.world, instead, rng) for each in asked]


def composition_part(group: str) -> str:
    """The part of one of ``COMPOSITIONS``."""
    return f"{COMPOSITION}:{group}"


def label(target: Target) -> str:
    """``KIND:NAME``, as people type it."""
    return f"{target.kind.value}:{target.name}"
