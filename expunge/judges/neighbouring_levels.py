"""What is most like a target, of everything else that a world asks for in its place."""

from collections.abc import Sequence

import numpy as np

from expunge.judges.panel import Panel
from expunge.prompts.pairing import nearest_levels
from expunge.prompts.target import Target
from expunge.prompts.world import World


def neighbouring_levels(target: Target, targets: Sequence[Target], world: World, panel: Panel) -> list[str]:
    """Levels of the target's factor, none of them one of ``targets``: its own groups' first, then by CLIP likeness."""
    features = {}
    for name, level in world.factors[target.factor].items():
        mean = panel.clip.text_features(level.train or [name]).mean(axis=0)
        features[name] = mean / np.linalg.norm(mean)
    excluded = [level for other in targets if other.factor == target.factor for level in other.levels]
    groups = target.groups(world)
    nearest = nearest_levels(features, target.levels, excluded)
    return sorted(nearest, key=lambda name: world.factors[target.factor][name].group not in groups)  # stable
