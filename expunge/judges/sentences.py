"""The sentences that stand for a level: prompt ensembling (Radford et al. 2021, arXiv 2103.00020, section 3.1.4)."""

import random

import numpy as np

from expunge.errors import ExpungeError
from expunge.judges.features import unit_rows
from expunge.judges.protocols import ClipJudge
from expunge.prompts.world import World

ENSEMBLE = 20  # sentences that stand for a level


def level_features(clip: ClipJudge, factor: str, world: World) -> np.ndarray:
    """What stands for each level of a factor in CLIP's space: (k, d), the mean of ``ensemble``, scaled to length 1.

    Raises:
        ExpungeError: the world has no such factor, or CLIP does not read a sentence to the end.
    """
    if factor not in world.factors:
        raise ExpungeError(f"factor: '{factor}' given; the world has {', '.join(world.factors)}.")
    names = list(world.factors[factor])
    sentences = [text for name in names for text in ensemble(world, factor, name)]
    if long := [text for text, cut in zip(sentences, clip.cut_off(sentences), strict=True) if cut]:
        raise ExpungeError(
            f"judges: '{clip.name}' does not read {len(long)} of {len(sentences)} sentences for {factor} to the end, "
            f"e.g. '{long[0]}'. Shorten the world's templates and wordings, or name a judge that reads more."
        )
    texts = clip.text_features(sentences)
    means = np.asarray(texts, dtype=np.float64).reshape(len(names), ENSEMBLE, -1).mean(axis=1)
    return unit_rows(means, f"prompts of {factor}")


def ensemble(world: World, factor: str, level: str) -> list[str]:
    """``ENSEMBLE`` train-level sentences that name a level, spread over templates and the other factors' levels."""
    rng = random.Random(factor)  # the same sentences around every level, so that only the level differs
    others = {
        name: [each for each, words in levels.items() if words.train] or list(levels)
        for name, levels in world.slots.items()
        if name != factor
    }
    rest = [{name: rng.choice(levels) for name, levels in others.items()} for _ in range(ENSEMBLE)]
    prompts = [world.prompt({factor: level} | each, "train", rng, turn) for turn, each in enumerate(rest)]
    words = world.factors[factor][level]
    if not words.train and words.held_out:  # a level's name is not always how it is asked for
        prompts = [world.reworded(prompt, factor, words.held_out[0]) for prompt in prompts]
    return [prompt.text for prompt in prompts]
