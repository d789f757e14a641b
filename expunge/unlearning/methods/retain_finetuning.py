"""Retain-only fine-tuning: train on the retain set and hope that the rest fades.

Source: the fine-tuning baseline of Ko et al., NeurIPS 2024, arXiv 2412.07808. Update: θ ← Adam(g_r).

Differs from the paper: nothing known; λ only scales the gradient, which Adam undoes.
"""

from typing import ClassVar

from expunge.unlearning.gradients import Coefficients
from expunge.unlearning.methods.adam_method import AdamMethod, AdamSettings
from expunge.unlearning.methods.method_registry import register


@register("retain_finetuning")
class RetainFinetuning(AdamMethod[AdamSettings]):
    """Adam along the retain gradient. The forget set is not looked at."""

    uses_forget: ClassVar[bool] = False

    def rule(self, ff: float, fr: float, rr: float) -> Coefficients:
        """(0, 1)."""
        return Coefficients(0.0, 1.0, conflict=False)
