"""A model that hides a target without having forgotten anything: a filter that swaps the target's words.

The reference for the comes-back tests: whoever asks plainly finds the target gone, though no weight has moved.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from expunge.case import Case
from expunge.errors import ExpungeError
from expunge.models.stable_diffusion import StableDiffusion
from expunge.prompts.target import Target
from expunge.unlearning.diversification import neighbouring_levels


class TextFilter(StableDiffusion):
    """A model behind a filter of words; its weights are those of the model it was made of, and shared with it.

    Args:
        model: what draws.
        swaps: wordings, and what is put in their place. Of overlapping ones the longest counts; one that stands for
            itself shields the shorter ones in it. Case is ignored.
    """

    def __init__(self, model: StableDiffusion, swaps: Mapping[str, str]) -> None:
        super().__init__(model.pipeline)
        self.swaps = {" ".join(wording.lower().split()): put for wording, put in swaps.items()}
        longest_first = sorted(self.swaps, key=lambda wording: (-len(wording), wording))
        self._pattern = re.compile(
            "|".join(rf"(?<!\w){re.escape(wording)}(?!\w)" for wording in longest_first), re.IGNORECASE
        )

    def rewrite(self, text: str) -> str:
        """The text as the model gets to see it."""
        return self._pattern.sub(lambda found: self.swaps[found[0].lower()], " ".join(text.split()))

    def draw(self, texts: Sequence[str], seeds: Sequence[int], *args: Any, **how: Any) -> np.ndarray:
        """As the model draws the rewritten texts."""
        return super().draw([self.rewrite(text) for text in texts], seeds, *args, **how)

    def encode_texts(self, texts: Sequence[str], batch_size: int = 256) -> torch.Tensor:
        """As the model encodes the rewritten texts."""
        return super().encode_texts([self.rewrite(text) for text in texts], batch_size)

    def digest(self) -> str:
        """SHA-256 over the model's digest and the swaps: it draws otherwise, so it must not pass for the model."""
        facts = json.dumps([super().digest(), sorted(self.swaps.items())])
        return hashlib.sha256(facts.encode()).hexdigest()

    def save(self, folder: Path) -> None:
        """Refused.

        Raises:
            ExpungeError: always; a diffusers folder would hold the model without its filter.
        """
        raise ExpungeError(f"text filter: not saved to {folder.name}: the folder would hold the model without it.")


def text_filter(model: StableDiffusion, target: Target, case: Case) -> TextFilter:
    """A filter that puts the target's nearest neighbour (by CLIP) in place of all its names and wordings.

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
    return TextFilter(model, swaps)
