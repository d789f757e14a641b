"""Prompts that are longer than a text encoder reads: which of them no longer ask for what they are said to ask for."""

from collections.abc import Sequence

from expunge.errors import ExpungeError
from expunge.prompts.target import Target
from expunge.prompts.world import Prompt
from expunge.takedown.names import same_name


def lost_words(prompts: Sequence[Prompt], cut: Sequence[str]) -> dict[str, list[Prompt]]:
    """By factor, the prompts of which the encoder does not read all words for that factor; factors that lose nothing
    are left out.

    Args:
        prompts: what is asked.
        cut: for each the end of its text that is not read, empty where all of it is.
    """
    lost: dict[str, list[Prompt]] = {}
    for prompt, unread in zip(prompts, cut, strict=True):
        text = f" {same_name(prompt.text)} "
        read = _length(text) - _length(same_name(unread))
        for factor, wording in prompt.words.items():
            start = text.find(f" {same_name(wording)} ") if wording else -1
            if start >= 0 and _length(text[:start]) + _length(same_name(wording)) > read:
                lost.setdefault(factor, []).append(prompt)
    return lost


def refuse_lost_target(target: Target, prompts: Sequence[Prompt], cut: Sequence[str]) -> None:
    """See that every prompt for a target is read as far as the target; ``prompts`` and ``cut`` as for ``lost_words``.

    Raises:
        ExpungeError: some are cut off before; pictures of them would show nothing of what is to be forgotten.
    """
    asked = [prompt for prompt in prompts if target.matches(prompt)]
    if lost := [prompt for prompt in lost_words(prompts, cut).get(target.factor, []) if target.matches(prompt)]:
        raise ExpungeError(
            f"world: {len(lost)} of {len(asked)} prompts for '{target.name}' are cut off before a model reads it, e.g. "
            f"'{lost[0].text}'. Shorten the templates, or put the {target.factor} first."
        )


def _length(text: str) -> int:
    """Letters without spaces: an encoder gives its words back with spaces of its own."""
    return len("".join(text.split()))
