"""What is to be drawn: prompts and seeds, cut into shards. It depends on world, targets and profile, on no model."""

import random
from collections.abc import Sequence

import numpy as np
from pydantic import BaseModel, ConfigDict

from expunge.evaluation.profile import EvaluationProfile
from expunge.prompts.compositions import COMPOSITIONS, compositions
from expunge.prompts.pairing import forget_prompts
from expunge.prompts.target import Target
from expunge.prompts.variants import WORDINGS, variants
from expunge.prompts.world import Prompt, Side, World

WORLD_PARTS: tuple[Side, ...] = ("held_out", "train")
TARGET_PART = "target"
COMPOSITION_PART = "composition"


class Shard(BaseModel):
    """Pictures that are drawn together, in batches that are always the same, so that they are the same to the bit.

    Attributes:
        part: ``held_out`` or ``train`` (over the whole world), ``target``, one of ``WORDINGS``, or ``composition:`` and
            one of ``COMPOSITIONS``.
        target: ``KIND:NAME`` of the target that the part is about; empty for the world's. Compositions are about its
            neighbours and ask for no target.
        prompts: n prompts.
        seeds: n seeds of the initial noise.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    part: str
    target: str
    prompts: tuple[Prompt, ...]
    seeds: tuple[int, ...]


def plan_evaluation(targets: Sequence[Target], world: World, profile: EvaluationProfile) -> list[Shard]:
    """Every shard of an evaluation. Those over the world are the same whatever the targets."""
    sizes = {"held_out": profile.held_out_pictures, "train": profile.train_pictures}
    parts: list[tuple[str, str, list[Prompt]]] = [
        (side, "", over_the_world(world, side, sizes[side], profile.seed)) for side in WORLD_PARTS
    ]
    for target in targets:
        asked = forget_prompts(target, world, "held_out", profile.target_pictures, profile.seed + 1)
        parts.append((TARGET_PART, label(target), asked))
        for group in WORDINGS if profile.wording_pictures else ():
            prompts = variants(target, world, group, profile.wording_pictures, profile.seed + 2)
            parts.append((group, label(target), prompts))
        for group in COMPOSITIONS if profile.composition_pictures else ():
            prompts = compositions(target, world, group, profile.composition_pictures, profile.seed + 3, targets)
            parts.append((composition_part(group), label(target), prompts))
    return [shard for part, target, prompts in parts for shard in _cut(part, target, prompts, profile)]


def composition_part(group: str) -> str:
    """The part of one of ``COMPOSITIONS``."""
    return f"{COMPOSITION_PART}:{group}"


def label(target: Target) -> str:
    """``KIND:NAME``, as people type it."""
    return f"{target.kind.value}:{target.name}"


def over_the_world(world: World, side: Side, count: int, seed: int) -> list[Prompt]:
    """``count`` prompts, as evenly over the strata as they go; the last, incomplete turn is spread over the world."""
    turns = -(-count // len(world.strata()))
    prompts = world.sample(side, turns, seed)
    whole = [i for i in range(len(prompts)) if i % turns < turns - 1]
    last = [i for i in range(len(prompts)) if i % turns == turns - 1]
    places = np.linspace(0, len(last) - 1, count - len(whole)).round().astype(int)
    return [prompts[i] for i in sorted([*whole, *(last[place] for place in places)])]


def _cut(part: str, target: str, prompts: Sequence[Prompt], profile: EvaluationProfile) -> list[Shard]:
    rng, size = random.Random(f"{profile.seed}/{part}/{target}"), profile.shard_size
    seeds = [rng.randrange(2**31) for _ in prompts]
    return [
        Shard(part=part, target=target, prompts=tuple(prompts[i : i + size]), seeds=tuple(seeds[i : i + size]))
        for i in range(0, len(prompts), size)
    ]
