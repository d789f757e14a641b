"""What is to be drawn: prompts and seeds, cut into shards. It depends on case and settings, on no model."""

from collections.abc import Sequence

from expunge.case import Case
from expunge.evaluation.evaluation_settings import EvaluationSettings
from expunge.pictures.shards import Shard, cut, over_the_world
from expunge.prompts.compositions import COMPOSITIONS, compositions
from expunge.prompts.pairing import forget_prompts
from expunge.prompts.target import Target
from expunge.prompts.variants import WORDINGS, variants
from expunge.prompts.world import Prompt, Side

HELD_OUT: Side = "held_out"  # over the whole world, as the next
TRAIN: Side = "train"
TARGET, EARLIER = "target", "earlier"  # held-out wordings of what is, and of what was to be forgotten
COMPOSITION = "composition"
REFERENCE = "reference"  # drawn by the model measured against alone


def plan_evaluation(case: Case, settings: EvaluationSettings) -> list[Shard]:
    """Every shard of an evaluation; those over the world are the same whatever the targets, the reference comes last.

    The reference asks with held-out wordings too, chosen and drawn from other seeds: FD before is then how far two
    samples of one model lie apart, and nothing of it a difference of wordings.
    """
    world, seed, size = case.world, settings.seed, settings.shard_size
    held_out = over_the_world(world, HELD_OUT, settings.held_out(world), seed)
    parts: list[tuple[str, str, Sequence[Prompt]]] = [(HELD_OUT, "", held_out)]
    for target in case.targets:
        known = sum(target.matches(prompt) for prompt in held_out)
        asked = forget_prompts(target, world, HELD_OUT, max(0, settings.target_pictures - known), seed + 1)
        parts.append((TARGET, label(target), asked))
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
        *cut(REFERENCE, "", reference, seed, size),
    ]


def paired(shards: Sequence[Shard]) -> list[Shard]:
    """Those that both models draw: all but the reference."""
    return [shard for shard in shards if shard.part != REFERENCE]


def composition_part(group: str) -> str:
    """The part of one of ``COMPOSITIONS``."""
    return f"{COMPOSITION}:{group}"


def label(target: Target) -> str:
    """``KIND:NAME``, as people type it."""
    return f"{target.kind.value}:{target.name}"
