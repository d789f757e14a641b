"""Prompts that are longer than a text encoder reads: which of them no longer ask for what they are said to ask for."""

from collections.abc import Sequence

from expunge.errors import ExpungeError
from expunge.prompts.world import STRATUM_FACTORS, Prompt
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


def refuse_lost_words(prompts: Sequence[Prompt], cut: Sequence[str]) -> None:
    """See that every prompt asks for its subject and style; ``prompts`` and ``cut`` as for ``lost_words``.

    Raises:
        ExpungeError: some are cut off before; pictures of them would show nothing of what was forgotten or kept.
    """
    lost = lost_words(prompts, cut)
    for factor in STRATUM_FACTORS:
        if factor in lost:
            first, longer = lost[factor][0], sum(map(bool, cut))
            raise ExpungeError(
                f"world: {longer} of {len(prompts)} prompts are longer than the model's text encoder reads; in "
                f"{len(lost[factor])} of them the {factor} is cut off, as '{first.words[factor]}' in '{first.text}'; "
                "shorten the templates"
            )


def _length(text: str) -> int:
    """Letters without spaces: an encoder gives its words back with spaces of its own."""
    return len("".join(text.split()))
