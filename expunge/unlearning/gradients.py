"""The restricted gradient from three dot products and two scalars.

Source: Ko et al., NeurIPS 2024, arXiv 2412.07808 (restricted gradient). The two projections of the paper and
their weighted sum are a linear combination of the two gradients,

    d = c_f g_f + c_r g_r,

whose coefficients follow from <g_f,g_f>, <g_f,g_r> and <g_r,g_r> alone. Nothing is flattened or projected.

Notation: g_f, g_r gradients of forget and retain loss; P preconditioner of the step (diagonal, positive);
<a,b> = aᵀ P⁻¹ b; λ weight of the retain objective (``retain_weight``).

Differs from the paper: the inner product is a parameter. The paper's is the Euclidean one, in which the guarantee does
not hold for a step taken with Adam.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from expunge.errors import ExpungeError

# Coefficients from here on are applied in float64: float32 ends at 3.4e38.
HUGE = 1e30

# Below this squared sine of the angle between opposed gradients, d is the rounding noise of two terms.
OPPOSED = 1e-12


class NonFiniteGradientError(ExpungeError):
    """A gradient holds NaN or infinity, or numbers too large to be squared. Nothing has been changed."""


@dataclass(frozen=True)
class Coefficients:
    """``d = forget · g_f + retain · g_r``.

    Attributes:
        forget: c_f.
        retain: c_r.
        conflict: whether <g_f,g_r> < 0, so that the gradients had to be restricted.
    """

    forget: float
    retain: float
    conflict: bool

    def times(self, forget: float, retain: float) -> "Coefficients":
        """Of gradients divided by these numbers."""
        return Coefficients(self.forget * forget, self.retain * retain, self.conflict)


def coefficients(ff: float, fr: float, rr: float, retain_weight: float) -> Coefficients:
    """c_f and c_r of the restricted gradient (arXiv 2412.07808), from the three dot products.

    | case | c_f | c_r |
    | --- | --- | --- |
    | <g_f,g_r> ≥ 0, or a gradient is zero | 1 | λ |
    | <g_f,g_r> < 0 | 1 − λ fr/ff | λ − fr/rr |
    | exactly opposed, g_f = −a g_r | 0 | 0 |

    Opposed gradients leave no direction that lowers both losses to first order: the step stands still. The
    formula gives d = 0 there too, as the difference of two equal terms; the row makes it exact.

    Args:
        ff: <g_f,g_f> ≥ 0.
        fr: <g_f,g_r>.
        rr: <g_r,g_r> ≥ 0.
        retain_weight: λ > 0.

    Raises:
        NonFiniteGradientError: a product is NaN or infinite.
        ValueError: λ is not a positive finite number, or a square is negative.
    """
    if not (math.isfinite(retain_weight) and retain_weight > 0):
        raise ValueError(f"retain_weight is {retain_weight}: must be a positive finite number")
    refuse_non_finite(ff, fr, rr)
    if ff < 0 or rr < 0:
        raise ValueError(f"squared norms are {ff} and {rr}: must not be negative")
    # Norms first, ratios second: ff · rr would overflow or vanish where each alone does not.
    forget_norm, retain_norm = math.sqrt(ff), math.sqrt(rr)
    if fr >= 0 or forget_norm == 0 or retain_norm == 0:
        return Coefficients(1.0, retain_weight, conflict=False)
    cosine = max(fr / forget_norm / retain_norm, -1.0)
    if (1 + cosine) * (1 - cosine) <= OPPOSED:
        return Coefficients(0.0, 0.0, conflict=True)
    return Coefficients(
        forget=1 - retain_weight * cosine * (retain_norm / forget_norm),
        retain=retain_weight - cosine * (forget_norm / retain_norm),
        conflict=True,
    )


def refuse_non_finite(ff: float, fr: float, rr: float) -> None:
    """Raise if a product is NaN or infinite.

    Raises:
        NonFiniteGradientError: one is.
    """
    if not all(map(math.isfinite, (ff, fr, rr))):
        raise NonFiniteGradientError(
            f"gradients: their products are {ff}, {fr} and {rr}, must be finite; lower the learning rate, or "
            "look for NaN in latents and conditions"
        )


def cosine_of(ff: float, fr: float, rr: float) -> float:
    """Cosine between the gradients, −1 to 1; 0 where one of them is zero."""
    if ff == 0 or rr == 0:
        return 0.0
    return max(-1.0, min(1.0, fr / math.sqrt(ff) / math.sqrt(rr)))


def first_order_changes(ff: float, fr: float, rr: float, chosen: Coefficients) -> tuple[float, float]:
    """Change of L_f and of L_r, to first order, for a step −P⁻¹ d of unit learning rate.

    A change smaller than the rounding error of its own two terms is reported as 0.

    Returns:
        (−<g_f,d>, −<g_r,d>); both ≤ 0 for the coefficients that `coefficients` gives in the same metric.
    """
    return (
        0.0 - _sum_or_zero(chosen.forget * ff, chosen.retain * fr),
        0.0 - _sum_or_zero(chosen.forget * fr, chosen.retain * rr),
    )


def _sum_or_zero(a: float, b: float) -> float:
    return 0.0 if abs(a + b) <= 1e-14 * (abs(a) + abs(b)) else a + b


def combine(forget: Tensor, retain: Tensor, chosen: Coefficients) -> Tensor:
    """``c_f g_f + c_r g_r``, a new tensor."""
    if max(abs(chosen.forget), abs(chosen.retain)) >= HUGE:
        return (forget.double() * chosen.forget + retain.double() * chosen.retain).to(forget.dtype)
    return torch.mul(forget, chosen.forget).add_(retain, alpha=chosen.retain)


@dataclass(frozen=True)
class StepReport:
    """What one update did.

    Attributes:
        ff: <a_f,a_f> of what was combined: the batch's gradients, or their averages where there is momentum.
        fr: <a_f,a_r>.
        rr: <a_r,a_r>.
        cosine: between a_f and a_r in the same product, −1 to 1; None if the method has only one of them.
        coefficients: c_f and c_r.
        change_forget: −<g_f,u>: change of this batch's forget loss, to first order, per unit learning rate, along the
            step −η u that was taken; None if the method does not know that loss's gradient.
        change_retain: the same of this batch's retain loss.
        averaged_change_forget: −<m̂_f,u> of the averaged gradient, which our engine keeps from rising; None for others.
        averaged_change_retain: the same of the retain loss.
    """

    ff: float
    fr: float
    rr: float
    cosine: float | None
    coefficients: Coefficients
    change_forget: float | None
    change_retain: float | None
    averaged_change_forget: float | None = None
    averaged_change_retain: float | None = None
