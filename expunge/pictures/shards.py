"""Shards: pictures that are planned, drawn, judged and let go together."""

import hashlib
import random
from collections.abc import Sequence

import numpy as np
from pydantic import BaseModel, ConfigDict

from expunge.prompts.world import Prompt, Side, World

SHARD_SIZE = 64


class Shard(BaseModel):
    """Pictures that are drawn together, in batches that are always the same, so that they are the same to the bit.

    Attributes:
        part: what they are for, e.g. ``held_out`` or ``train``.
        target: ``KIND:NAME`` of the target that the part is about; empty for the world's.
        prompts: n prompts.
        seeds: n seeds of the initial noise.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    part: str
    target: str = ""
    prompts: tuple[Prompt, ...]
    seeds: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.prompts)


def cut(part: str, target: str, prompts: Sequence[Prompt], seed: int, size: int = SHARD_SIZE) -> list[Shard]:
    """Shards of at most ``size`` prompts, each with a noise seed from ``seed``, the part, the target and its place."""
    rng = random.Random(f"{seed}/{part}/{target}")
    seeds = [rng.randrange(2**31) for _ in prompts]
    return [
        Shard(part=part, target=target, prompts=tuple(prompts[i : i + size]), seeds=tuple(seeds[i : i + size]))
        for i in range(0, len(prompts), size)
    ]


def prompts_digest(shards: Sequence[Shard]) -> str:
    """SHA-256 of all prompts and seeds."""
    return hashlib.sha256("".join(each.model_dump_json() for each in shards).encode()).hexdigest()


def plan_over_world(world: World, side: Side, per_stratum: int, seed: int, shard_size: int = SHARD_SIZE) -> list[Shard]:
    """``per_stratum`` pictures of every stratum of the world; no target matters: shared by all takedowns."""
    return cut(side, "", world.sample(side, per_stratum, seed), seed, shard_size)


def over_the_world(world: World, side: Side, count: int, seed: int) -> list[Prompt]:
    """``count`` prompts, as evenly over the strata as they go; the last, incomplete turn is spread over the world."""
    turns = -(-count // len(world.strata()))
    prompts = world.sample(side, turns, seed)
    whole = [i for i in range(len(prompts)) if i % turns < turns - 1]
    last = [i for i in range(len(prompts)) if i % turns == turns - 1]
    places = np.linspace(0, len(last) - 1, count - len(whole)).round().astype(int)
    return [prompts[i] for i in sorted([*whole, *(last[place] for place in places)])]
