"""The zoo's panel of judges: its CLIP, its subject classifier and its style classifier."""

from pathlib import Path

from expunge.metrics.open_clip_judge import OpenClipJudge
from expunge.metrics.panel import Panel
from expunge.zoo.classifiers import FactorClassifier

WEIGHTS = Path(__file__).parent / "weights"


def zoo_panel(weights: Path = WEIGHTS) -> Panel:
    """Load the judges that ship with the zoo."""
    classifiers = {factor: FactorClassifier.load(weights / "classifiers", factor) for factor in ("subject", "style")}
    return Panel(classifiers, OpenClipJudge(f"local-dir:{weights / 'clip'}", name="zoo-clip"))
