"""GradDiff: the plain weighted sum of both gradients.

Source: the GradDiff baseline of Ko et al., NeurIPS 2024, arXiv 2412.07808. Update: θ ← Adam(g_f + λ g_r).

Differs from the paper: the forget loss is truncated (``forget_threshold``), as for all methods here.
"""

from expunge.unlearning.gradients import Coefficients
from expunge.unlearning.methods.adam_method import AdamMethod, AdamSettings
from expunge.unlearning.methods.method_registry import register


@register("gradient_difference")
class GradientDifference(AdamMethod[AdamSettings]):
    """Adam along the sum, whether or not the gradients conflict."""

    def rule(self, ff: float, fr: float, rr: float) -> Coefficients:
        """(1, λ)."""
        return Coefficients(1.0, self.problem.objectives.retain_weight, conflict=fr < 0)
