"""The zoo's panel of judges: its CLIP, its subject classifier and its style classifier."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

from open_clip.model import CLIP
from transformers import CLIPTokenizer

from expunge.judges.open_clip_judge import OpenClipJudge
from expunge.judges.panel import Panel
from expunge.zoo.classifiers import FactorClassifier
from expunge.zoo.clip import save_clip

WEIGHTS = Path(__file__).parent / "weights"


@dataclass(frozen=True)
class ZooJudges:
    """Freshly trained judges, before they are on disk."""

    classifiers: dict[str, FactorClassifier]
    clip: CLIP
    tokenizer: CLIPTokenizer

    def save(self, folder: Path) -> None:
        """Write ``classifiers/`` and ``clip/`` below ``folder``, as ``zoo_panel`` reads them."""
        for classifier in self.classifiers.values():
            classifier.save(folder / "classifiers")
        save_clip(self.clip, self.tokenizer, folder / "clip")

    def panel(self) -> Panel:
        """The panel they make up, by way of a temporary folder: judged by what is stored."""
        with tempfile.TemporaryDirectory() as folder:
            self.save(Path(folder))
            return zoo_panel(Path(folder))


def zoo_panel(weights: Path = WEIGHTS) -> Panel:
    """Load the judges that ship with the zoo."""
    classifiers = {factor: FactorClassifier.load(weights / "classifiers", factor) for factor in ("subject", "style")}
    return Panel(classifiers, OpenClipJudge(f"local-dir:{weights / 'clip'}", name="zoo-clip"))
