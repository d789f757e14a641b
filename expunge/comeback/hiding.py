"""A model that hides a target without having forgotten anything: a filter that swaps the target's words.

The reference for the comes-back tests: whoever asks plainly finds the target gone, though no weight has moved.
"""

import json
import re
from collections.abc import Mapping
from typing import TypeVar

from expunge.case import Case
from expunge.judges.neighbouring_levels import neighbouring_levels
from expunge.models.text_to_image import TextToImage
from expunge.prompts.target import Target

Model = TypeVar("Model", bound=TextToImage)


class WordFilter:
    """Puts other words in the place of some.

    Args:
        swaps: wordings, and what is put in their place. Of overlapping ones the longest counts; one that stands for
            itself shields the shorter ones in it. Case is ignored.
    """

    def __init__(self, swaps: Mapping[str, str]) -> None:
        self.swaps = {" ".join(wording.lower().split()): put for wording, put in swaps.items()}
        longest_first = sorted(self.swaps, key=lambda wording: (-len(wording), wording))
        self._pattern = re.compile(
            "|".join(rf"(?<!\w){re.escape(wording)}(?!\w)" for wording in longest_first), re.IGNORECASE
        )

    def rewrite(self, text: str) -> str:
        """The text as the model gets to see it."""
        return self._pattern.sub(lambda found: self.swaps[found[0].lower()], " ".join(text.split()))

    def before(self, model: Model) -> Model:
        """The model behind this filter; its weights are shared with it, and it cannot be saved."""
        return model.behind_filter(self.rewrite, json.dumps(sorted(self.swaps.items())))


def text_filter(model: Model, target: Target, case: Case) -> Model:
    """The model behind a filter that puts the target's nearest neighbour (by CLIP) for all its names and wordings.

    Wordings of other levels are left as they are, even where they hold one of the target's.

    Raises:
        ExpungeError: the target is all the model draws of its kind.
    """
    levels = case.world.factors[target.factor]
    neighbour = neighbouring_levels(target, [target], case.world, case.panel())[0]
    instead = (levels[neighbour].train or [neighbour])[0]
    swaps = {}
    # Targets last: a wording that they share with another level is theirs.
    for name in sorted(levels, key=lambda each: each in target.levels):
        for wording in (name, *levels[name].train, *levels[name].held_out):
            swaps[wording] = instead if name in target.levels else wording
    return WordFilter(swaps).before(model)
