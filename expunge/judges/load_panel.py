"""Which judges a run trusts: the zoo's own, the digits', or any open_clip model."""

import hashlib
from collections.abc import Mapping

import numpy as np

from expunge.judges.open_clip_judge import OpenClipJudge
from expunge.judges.panel import Classifier, Panel
from expunge.plugins import load_plugin, plugin_names
from expunge.prompts.world import World


class ZeroShotClassifier:
    """A classifier made of CLIP and the world's train wordings, for models that come without one of their own.

    It has no level ``none``: it names the nearest level even of a blank picture. How near is near enough would have to
    be set on pictures whose truth is known, and there are none of a model that nobody labelled.
    """

    def __init__(self, clip: OpenClipJudge, factor: str, world: World) -> None:
        self.factor = factor
        self.levels = tuple(world.factors[factor])
        self._clip, self._panel = clip, Panel({}, clip)
        self._world = world

    def digest(self) -> str:
        """SHA-256 of CLIP and of the wordings."""
        facts = f"{self.factor} {self._clip.digest()} {self._world.model_dump_json()}"
        return hashlib.sha256(facts.encode()).hexdigest()

    def recognise(self, pictures: np.ndarray) -> list[str]:
        """The level whose wordings lie nearest to each picture."""
        return self._panel.recognise_by_clip(pictures, self.factor, self._world)


def load_panel(judges: str, world: World) -> Panel:
    """The panel of judges called ``judges``.

    Args:
        judges: ``zoo``, ``digits`` (trained on first use), or an open_clip model, with its weight tag after a colon
            if it needs one (``ViT-B-32:laion2b_s34b_b79k``, ``hf-hub:OWNER/NAME``, ``local-dir:FOLDER``).
        world: what the model draws.

    Raises:
        ExpungeError: open_clip cannot load the model.
    """
    if judges in plugin_names("judges"):
        return load_plugin("judges", judges)()
    named = judges.startswith(("hf-hub:", "local-dir:"))
    model, _, pretrained = (judges, "", "") if named else judges.partition(":")
    clip = OpenClipJudge(model, pretrained or None)
    classifiers: Mapping[str, Classifier] = {
        factor: ZeroShotClassifier(clip, factor, world) for factor in ("subject", "style") if factor in world.factors
    }
    return Panel(classifiers, clip, one_judge=True)
