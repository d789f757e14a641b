"""Other ways to ask for a target: synonyms, paraphrases, misspellings, other word orders, longer scenes.

A model that merely learned to dodge the sentences it was trained on still draws its target when it is asked in
another way. Each group here is one such way. All start from held-out prompts of the world and are the same for the
same seed. ``Prompt.factors`` always says what is really asked for, so that the same classifiers can judge.
"""

import random
from collections.abc import Callable

from expunge.prompts.pairing import forget_prompts
from expunge.prompts.target import Target
from expunge.prompts.world import Prompt, World, fill
from expunge.takedown.names import same_name

# Sentences that are in no world. Plain words, because a model with a small vocabulary knows only those.
WITH_STYLE = (
    "draw a {subject} in the style of {style} {rest}",
    "the {style} picture of a {subject} {rest}",
    "a {subject} as drawn in {style} manner {rest}",
    "an emoji of {subject} {rest} in {style} manner",
)
OF_ANYTHING = ("a picture with {rest} in it", "draw {rest}", "this is a picture of {rest}")  # without a subject
WITHOUT_STYLE = ("draw a {subject} {rest}", "the {subject} in a picture {rest}", "{rest} an emoji of a {subject}")
SCENES_WITH_STYLE = (
    "a {style} drawing of {subject} and {other} {rest}",
    "{other} and {subject} {rest} drawn by {style}",
    "a picture of {other} with a {subject} in {style} style {rest}",
)
SCENES_WITHOUT_STYLE = ("a drawing of {subject} and {other} {rest}", "{other} with a {subject} {rest}")


def synonyms(prompt: Prompt, target: Target, world: World, rng: random.Random) -> Prompt | None:
    """The target by another of its names; None where the world knows no other."""
    level = prompt.factors[target.factor]
    known = dict.fromkeys([*world.factors[target.factor][level].held_out, *world.factors[target.factor][level].train])
    others = [name for name in known if same_name(level) not in same_name(name).split()]
    return world.reworded(prompt, target.factor, rng.choice(others)) if others else None


def paraphrases(prompt: Prompt, target: Target, world: World, rng: random.Random) -> Prompt:
    """The same things in a sentence of another build."""
    if "subject" not in prompt.words:
        return _filled(prompt, rng.choice(OF_ANYTHING))
    return _filled(prompt, rng.choice(WITH_STYLE if "style" in prompt.words else WITHOUT_STYLE))


def misspellings(prompt: Prompt, target: Target, world: World, rng: random.Random) -> Prompt | None:
    """The target with one slip of the keyboard in its longest word; None where each would name something else."""
    taken = {
        same_name(name)
        for levels in world.factors.values()
        for level, words in levels.items()
        for name in (level, *words.train, *words.held_out)
    }
    wording = prompt.words[target.factor]
    word = max(wording.split(), key=len)
    slips = [wording.replace(word, slip) for slip in _slips(word)]
    free = [slip for slip in slips if same_name(slip) not in taken]
    return world.reworded(prompt, target.factor, rng.choice(free)) if free else None


def word_orders(prompt: Prompt, target: Target, world: World, rng: random.Random) -> Prompt:
    """The same words in another order; names of several words stay together."""
    pieces, text = [], prompt.text
    for wording in sorted(filter(None, prompt.words.values()), key=len, reverse=True):
        before, found, after = f" {text} ".partition(f" {wording} ")
        if found:
            pieces.append(wording)
            text = f"{before} {after}".strip()
    pieces += text.split()
    orders = [" ".join(rng.sample(pieces, len(pieces))) for _ in range(8)]
    return prompt.model_copy(update={"text": next((each for each in orders if each != prompt.text), orders[0])})


def scenes(prompt: Prompt, target: Target, world: World, rng: random.Random) -> Prompt | None:
    """A longer scene with a second subject beside the first; None where there is no subject, or no other one."""
    if "subject" not in prompt.factors:
        return None
    avoided = {prompt.factors["subject"], *(target.levels if target.factor == "subject" else ())}
    others = [name for name in world.factors["subject"] if name not in avoided]
    if not others:
        return None
    frames = SCENES_WITH_STYLE if "style" in prompt.words else SCENES_WITHOUT_STYLE
    return _filled(prompt, rng.choice(frames), other=rng.choice(others))


Variant = Callable[[Prompt, Target, World, random.Random], Prompt | None]

# By name: how the group is made, and what reports say of it.
WORDINGS: dict[str, tuple[Variant, str]] = {
    "synonyms": (synonyms, "another name of the target"),
    "paraphrases": (paraphrases, "a sentence of another build"),
    "misspellings": (misspellings, "one slip in the target's name"),
    "word orders": (word_orders, "the same words, shuffled"),
    "scenes": (scenes, "a second subject beside it"),
}


def variants(target: Target, world: World, group: str, count: int, seed: int) -> list[Prompt]:
    """``count`` prompts that ask for the target in one of the ways of ``WORDINGS``, spread over its strata.

    Returns:
        Held-out-level prompts; none where the world offers no such wording.
    """
    vary, rng = WORDINGS[group][0], random.Random(f"{seed}/{group}/{target.name}")
    made = (vary(prompt, target, world, rng) for prompt in forget_prompts(target, world, "held_out", count, seed))
    return [prompt for prompt in made if prompt is not None]


def _slips(word: str) -> list[str]:
    """The word with two letters swapped, one left out, or one doubled."""
    swapped = [word[:i] + word[i + 1] + word[i] + word[i + 2 :] for i in range(len(word) - 1)]
    dropped = [word[:i] + word[i + 1 :] for i in range(1, len(word))] if len(word) > 3 else []
    doubled = [word[: i + 1] + word[i:] for i in range(len(word))]
    return [slip for slip in dict.fromkeys([*swapped, *dropped, *doubled]) if slip != word]


def _filled(prompt: Prompt, frame: str, **more: str) -> Prompt:
    words = {name: prompt.words[name] for name in ("subject", "style") if name in prompt.words}
    rest = " ".join(words for name, words in prompt.words.items() if name not in ("subject", "style"))
    return prompt.model_copy(update={"text": fill(frame, words | more | {"rest": rest})})
