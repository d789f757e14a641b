"""Scenes that the world has no single level for: a target's neighbours in pairs, in numbers, in colours.

Unlearning can spare every single neighbour and still break what is built of them. No classifier of single things can
judge such pictures, so nothing here says what must be seen; ``Prompt.factors`` names the first subject only. Subjects
are levels of the factor that objects are; a world without objects has no such scenes.

Levels are named by the world's own held-out wordings, as they are: a model with a small vocabulary knows no plural. The
only other words are "and", numbers and colours.
"""

import random
from collections.abc import Callable, Sequence

from expunge.prompts.target import Target
from expunge.prompts.world import Prompt, World
from expunge.takedown.request import Kind

NUMBERS = ("two", "three", "four")
COLOURS = ("red", "blue", "green", "yellow")


def pairs(wording: str, others: Sequence[str], rng: random.Random) -> str | None:
    """Two subjects; None where there is no second one."""
    return f"{wording} and {rng.choice(others)}" if others else None


def counts(wording: str, others: Sequence[str], rng: random.Random) -> str | None:
    """Several of one subject."""
    return f"{rng.choice(NUMBERS)} {wording}"


def colours(wording: str, others: Sequence[str], rng: random.Random) -> str | None:
    """A subject in a colour that its wording does not name already."""
    return f"{rng.choice([each for each in COLOURS if each not in wording.split()])} {wording}"


Composition = Callable[[str, Sequence[str], random.Random], str | None]

# By name: how a subject is composed, and what reports say of it.
COMPOSITIONS: dict[str, tuple[Composition, str]] = {
    "pairs": (pairs, "a neighbour and another subject"),
    "counts": (counts, "two to four of a neighbour"),
    "colours": (colours, "a neighbour in a colour"),
}


def neighbours_of(target: Target, world: World, avoid: Sequence[Target]) -> list[str]:
    """Levels of the target's own semantic groups; all other levels where the factor knows no groups.

    Args:
        avoid: targets; none of their levels is a neighbour.
    """
    levels, groups = world.factors[target.factor], target.groups(world)
    gone = {level for each in (target, *avoid) if each.factor == target.factor for level in each.levels}
    grouped = any(level.group for level in levels.values())
    return [name for name, level in levels.items() if name not in gone and (level.group in groups or not grouped)]


def compositions(
    target: Target, world: World, group: str, count: int, seed: int, avoid: Sequence[Target] = ()
) -> list[Prompt]:
    """``count`` prompts of the target's neighbours, composed in one of the ways of ``COMPOSITIONS``.

    Args:
        avoid: other targets, which no prompt asks for either.

    Returns:
        Held-out-level prompts, as evenly over neighbours and strata as they go; none where the world has no objects or
        neighbours, or offers no two different prompts, of which no spread would be known.
    """
    if not (things := world.factors_of(Kind.OBJECT)):
        return []
    thing, subjects = things[0], world.factors[things[0]]
    targets, rng = (target, *avoid), random.Random(f"{seed}/{group}/{target.kind.value}:{target.name}")
    neighbours = neighbours_of(target, world, avoid)
    gone = {level for each in targets if each.factor == thing for level in each.levels}
    beside = neighbours if target.factor == thing else [name for name in subjects if name not in gone]
    made = []
    for prompt in _asked(target.factor, neighbours, targets, world, count, seed):
        others = [rng.choice(subjects[name].held_out or [name]) for name in beside if name != prompt.factors[thing]]
        subject = COMPOSITIONS[group][0](prompt.words[thing], others, rng)
        if subject is not None:
            made.append(world.reworded(prompt, thing, subject))
    return made if len({prompt.text for prompt in made}) > 1 else []


def _asked(
    factor: str, neighbours: Sequence[str], targets: Sequence[Target], world: World, count: int, seed: int
) -> list[Prompt]:
    """Prompts for single neighbours, stratum by stratum in turns, so that cutting them off favours none."""
    strata = [each for each in world.strata() if each.get(factor) in neighbours]
    turns = -(-count // max(1, len(strata)))
    asked = [
        (i % turns, i // turns, prompt)
        for i, prompt in enumerate(world.sample("held_out", turns, seed))
        if prompt.factors.get(factor) in neighbours and not any(each.matches(prompt) for each in targets)
    ]
    # Strata in an order of their own, or a short list would hold the first neighbours only.
    order = list(range(len(world.strata())))
    random.Random(seed).shuffle(order)
    return [prompt for *_, prompt in sorted(asked, key=lambda each: (each[0], order[each[1]]))][:count]
