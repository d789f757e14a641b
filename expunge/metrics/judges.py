"""Which judges a run trusts: the zoo's own, the digits', or any open_clip model."""

from collections.abc import Mapping

import numpy as np

from expunge.metrics.open_clip_judge import OpenClipJudge
from expunge.metrics.panel import Classifier, Panel
from expunge.prompts.grid import PromptGrid


class ZeroShotClassifier:
    """A classifier made of CLIP and the grid's train wordings, for models that come without one of their own."""

    def __init__(self, clip: OpenClipJudge, factor: str, grid: PromptGrid) -> None:
        self.factor = factor
        self.levels = tuple(grid.factors[factor])
        self._panel = Panel({}, clip)
        self._grid = grid

    def recognise(self, pictures: np.ndarray) -> list[str]:
        """The level whose wordings lie nearest to each picture."""
        return self._panel.recognise_by_clip(pictures, self.factor, self._grid)


def load_panel(judges: str, grid: PromptGrid) -> Panel:
    """The panel of judges called ``judges``.

    Args:
        judges: ``zoo``, ``digits`` (trained on first use), or an open_clip model, with its weight tag after a colon
            if it needs one (``ViT-B-32:laion2b_s34b_b79k``, ``hf-hub:OWNER/NAME``, ``local-dir:FOLDER``).
        grid: what the model draws.

    Raises:
        ExpungeError: open_clip cannot load the model.
    """
    if judges == "zoo":
        from expunge.zoo.judges import zoo_panel

        return zoo_panel()
    if judges == "digits":
        from expunge.digits.kept import digits_panel

        return digits_panel()
    named = judges.startswith(("hf-hub:", "local-dir:"))
    model, _, pretrained = (judges, "", "") if named else judges.partition(":")
    clip = OpenClipJudge(model, pretrained or None)
    classifiers: Mapping[str, Classifier] = {
        factor: ZeroShotClassifier(clip, factor, grid) for factor in ("subject", "style") if factor in grid.factors
    }
    return Panel(classifiers, clip)
