"""Gradient ascent on the forget set's denoising error, without regard for the rest.

Source: the gradient-ascent baseline of Ko et al., NeurIPS 2024, arXiv 2412.07808. Update: θ ← Adam(g_f).

Differs from the paper: the forget loss is truncated (``forget_threshold``), as for all methods here; a
very large threshold gives plain ascent.
"""

from typing import ClassVar

from expunge.unlearning.gradients import Coefficients
from expunge.unlearning.methods.adam_method import AdamMethod, AdamSettings
from expunge.unlearning.methods.method_registry import register


@register("gradient_ascent")
class GradientAscent(AdamMethod[AdamSettings]):
    """Adam along the forget gradient. The retain set is not looked at."""

    uses_retain: ClassVar[bool] = False

    def rule(self, ff: float, fr: float, rr: float) -> Coefficients:
        """(1, 0)."""
        return Coefficients(1.0, 0.0, conflict=False)
