"""Prompts that a text encoder cuts off: what was never asked for must not count as forgotten."""

from collections.abc import Sequence

from expunge.case import Case
from expunge.models.text_to_image import TextToImage
from expunge.pictures.shards import Shard
from expunge.prompts.lost_words import refuse_lost_target


def check_readable(models: Sequence[TextToImage], shards: Sequence[Shard], case: Case) -> list[str]:
    """Refuse target prompts that lose their target, and say which others are cut off, by the models or by CLIP.

    Raises:
        ExpungeError: a model does not read some prompts for a target as far as the target's name.
    """
    prompts = list({prompt.text: prompt for shard in shards for prompt in shard.prompts}.values())
    texts = [prompt.text for prompt in prompts]
    cut: dict[str, str] = {}
    for model in models:
        unread = model.cut_off(texts)
        cut |= {text: words for text, words in zip(texts, unread, strict=True) if words}
        for target in case.gone:
            refuse_lost_target(target, prompts, unread)
    found = []
    if cut:
        text, words = next(iter(cut.items()))
        found.append(f"Of {len(texts)} prompts {len(cut)} are not read to the end, e.g. “{text}” (not “{words}”).")
    if long := [text for text, too_long in zip(texts, case.panel().clip.cut_off(texts), strict=True) if too_long]:
        found.append(f"CLIP does not read {len(long)} of {len(texts)} prompts to the end, e.g. “{long[0]}”: they are "
                     "left out of every alignment.")  # fmt: skip
    return found
