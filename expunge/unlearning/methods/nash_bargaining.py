"""MUNBa: the two objectives bargain over the direction, so that neither dominates by the size of its gradient.

Source: Wu & Harandi, ICCV 2025, arXiv 2411.15537, closed form of the Nash bargaining solution for two players.
Update: θ ← Adam(α_f g_f + α_r g_r) with Gᵀ G α = 1/α, solved by α_i = 1 / (‖g_i‖ √(1 + cos φ)), φ the angle between
the gradients.

Differs from the paper: the forget loss is the truncated one (``forget_threshold``), as for the restricted gradients; a
zero gradient leaves the other alone at unit norm, and exactly opposed gradients leave the model where it is. λ is not
used: the solution does not depend on the losses' scales.
"""

import math

from expunge.unlearning.gradients import OPPOSED, Coefficients, cosine_of
from expunge.unlearning.methods.adam_method import AdamMethod, AdamSettings
from expunge.unlearning.methods.method_registry import register


def bargain(ff: float, fr: float, rr: float) -> Coefficients:
    """α_f and α_r from the three dot products, which must be finite."""
    forget_norm, retain_norm = math.sqrt(ff), math.sqrt(rr)
    share = 1 + cosine_of(ff, fr, rr)
    if forget_norm > 0 and retain_norm > 0 and share <= OPPOSED:
        return Coefficients(0.0, 0.0, conflict=True)
    return Coefficients(
        forget=1 / (forget_norm * math.sqrt(share)) if forget_norm > 0 else 0.0,
        retain=1 / (retain_norm * math.sqrt(share)) if retain_norm > 0 else 0.0,
        conflict=fr < 0,
    )


@register("nash_bargaining")
class NashBargaining(AdamMethod[AdamSettings]):
    """Adam along the Nash bargaining solution of one forget and one retain batch."""

    def rule(self, ff: float, fr: float, rr: float) -> Coefficients:
        """The bargain."""
        return bargain(ff, fr, rr)
