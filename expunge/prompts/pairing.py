"""Forget prompts, and for each what is to be drawn instead: the same sentence without the target."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from expunge.errors import ExpungeError
from expunge.prompts.target import Target
from expunge.prompts.world import Prompt, Side, World
from expunge.takedown.instead import Instead


@dataclass(frozen=True)
class InPlace:
    """What is to be drawn in a target's place.

    Attributes:
        what: a neighbour, the rest of the sentence, or nothing.
        neighbours: levels of the target's factor that may stand for it, at least one where ``what`` is a neighbour.
        sentences: of a memorised picture, instead of neighbours: prompts for something else.
    """

    what: Instead
    neighbours: tuple[str, ...] = ()
    sentences: tuple[Prompt, ...] = ()


def forget_prompts(target: Target, world: World, side: Side, count: int, seed: int) -> list[Prompt]:
    """``count`` prompts that ask for the target, spread evenly over its strata, templates and other factors."""
    strata = world.strata_with(target.factor, target.levels)
    per_stratum = -(-count // len(strata))
    sampled = world.sample(side, per_stratum, seed, strata)
    # Turn by turn over the strata, so that cutting to `count` drops no stratum before another.
    order = sorted(range(len(sampled)), key=lambda i: (i % per_stratum, i // per_stratum))
    return [sampled[i] for i in order[:count]]


def nearest_levels(features: dict[str, np.ndarray], of: Sequence[str], exclude: Sequence[str]) -> list[str]:
    """Levels of a factor by their likeness to ``of``, most alike first.

    Args:
        features: a unit-norm vector ``(d,)`` for each level, e.g. its mean CLIP text feature.
        of: levels whose neighbours are sought; a level's likeness is its highest cosine with any of them.
        exclude: levels left out, e.g. those to be forgotten.

    Raises:
        ExpungeError: no level is left.
    """
    likeness = {
        name: max(float(vector @ features[each]) for each in of)
        for name, vector in features.items()
        if name not in exclude and name not in of
    }
    if not likeness:
        raise ExpungeError(f"target: '{', '.join(of)}' is all the model draws of its kind: nothing could be retained.")
    return sorted(likeness, key=lambda name: -likeness[name])


def put_in_place(prompt: Prompt, target: Target, world: World, instead: InPlace, rng: random.Random) -> Prompt:
    """What is to be drawn where a prompt asks for the target, by ``instead.what``:

    - ``neighbour``: the same sentence with one of the neighbours in the target's place; for the caption of a memorised
      picture one of the sentences;
    - ``content``: the same sentence, with the target's words left out;
    - ``nothing``: the empty prompt.
    """
    if instead.what == "nothing":
        return Prompt(text="", factors={}, side=prompt.side, template=prompt.template)
    if instead.what == "content":
        rest = {name: level for name, level in prompt.factors.items() if name != target.factor}
        return world.reworded(prompt, target.factor, "").model_copy(update={"factors": rest})
    if instead.sentences:
        return rng.choice(instead.sentences)
    level = rng.choice(instead.neighbours)
    wordings = world.factors[target.factor][level].wordings(prompt.side)
    pair = world.reworded(prompt, target.factor, rng.choice(wordings) if wordings else level)
    return pair.model_copy(update={"factors": prompt.factors | {target.factor: level}})
