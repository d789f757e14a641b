"""The table's columns: what every evaluation measures, and what only a benchmark does."""

import math

from expunge.metrics.quantities import QUANTITIES, Quantity
from expunge.metrics.units import COSINE, DISTANCE, SHARE, Unit

WHOLE = Unit(1, ".0f", "", "")
_OWN = (
    Quantity("relearned", "UA, relearned", "lowest UA while fine-tuned on the target", SHARE, "higher", "target"),
    Quantity("frechet_ratio", "FD ratio", "FD, times the base model's", DISTANCE, "lower", "rest"),
    Quantity("alignment_gap", "AS gap", "AS lost on held-out prompts less that on train ones", COSINE, "lower", "rest"),
    Quantity("raised", "Steps against first order", "whose direction raises a loss of this step's batches to first "
             "order, by the batches' own gradients", SHARE, "lower", "target"),
    Quantity("raised_averaged", "The same of averages", "by the averaged gradients that our engine keeps from "
             "rising; 0 by construction, but for rounding", SHARE, "lower", "target"),
    Quantity("probe_rises", "Probe rises", "steps that raised either loss on the probe", SHARE, "lower", "target"),
    Quantity("steps", "Steps", "made", WHOLE, None, "target"),
    Quantity("passes", "Passes", "batches forward and backward; forward alone: a third", WHOLE, "lower", "target"),
    Quantity("cache_passes", "Cache passes", "of them, of gradients at θ₀", WHOLE, "lower", "target"),
    Quantity("checks", "Checks", "how often the target was looked for while unlearning", WHOLE, "lower", "target"),
    Quantity("seconds", "Seconds", "of unlearning, without checks", WHOLE, "lower", "target"),
    Quantity("peak_memory_mb", "Peak memory", "largest resident set while unlearning, MB", WHOLE, "lower", "target"),
)  # fmt: skip
COLUMNS: dict[str, Quantity] = QUANTITIES | {each.name: each for each in _OWN}


def bounds(quantity: Quantity) -> tuple[float, float]:
    """What its values can be."""
    return {SHARE: (0.0, 1.0), COSINE: (-math.inf, math.inf)}.get(quantity.unit, (0.0, math.inf))
