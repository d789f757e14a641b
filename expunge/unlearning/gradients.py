"""The restricted gradient from three dot products and two scalars.

Source: Ko et al., NeurIPS 2024, arXiv 2412.07808 (restricted gradient). The two projections of the paper and
their weighted sum are a linear combination of the two gradients,

    d = c_f g_f + c_r g_r,

whose coefficients follow from <g_f,g_f>, <g_f,g_r> and <g_r,g_r> alone. Nothing is flattened or projected.

Notation: g_f, g_r gradients of forget and retain loss; P preconditioner of the step (diagonal, positive);
<a,b> = aᵀ P⁻¹ b; λ weight of the retain objective (``retain_weight``).

Differs from the paper: the inner product is a parameter. The paper's is the Euclidean one (``metric=None``),
in which the guarantee does not hold for a step taken with Adam.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from expunge.errors import ExpungeError
from expunge.unlearning.products import Gradients, dense, dot_products, pieces

# Coefficients from here on are applied as two factors: float32 ends at 3.4e38.
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


def refuse_non_finite(gradients: Gradients, names: Sequence[str], objective: str, weight: float = 1.0) -> None:
    """Raise if ``weight`` times a gradient holds NaN, infinity, or a number whose square overflows.

    Raises:
        NonFiniteGradientError: names the objective and the parameter.
    """
    present = [(n, g) for n, g in zip(names, gradients, strict=True) if g is not None and g.numel()]
    if not present:
        return
    # No entry is larger than the norm, which takes a fraction of the time to find.
    norms = torch._foreach_norm([g for _, g in present])
    bounds = torch.stack([norm.to(norms[0].device) for norm in norms]).tolist()
    for (name, gradient), bound in zip(present, bounds, strict=True):
        limit = math.sqrt(torch.finfo(gradient.dtype).max) / max(weight, 1.0)
        if bound < 0.99 * limit:  # rounding of the norm
            continue
        low, high = torch.aminmax(gradient)  # both are NaN where one entry is
        size = torch.maximum(-low, high).item()
        if not size < limit:
            raise NonFiniteGradientError(
                f"{objective} gradient of {name}: largest entry is {size}, must be below {limit:.3g}; "
                "lower the learning rate, or look for NaN in latents and conditions"
            )


@dataclass(frozen=True)
class Restriction:
    """The restricted gradient of two gradients, before it is formed.

    Attributes:
        ff: <g_f,g_f>.
        fr: <g_f,g_r>.
        rr: <g_r,g_r>.
        coefficients: c_f and c_r.
    """

    ff: float
    fr: float
    rr: float
    coefficients: Coefficients


def restrict(
    forget: Gradients, retain: Gradients, retain_weight: float, metric: Sequence[Tensor] | None = None
) -> Restriction:
    """Products and coefficients.

    Args:
        forget: g_f by parameter; None counts as zero.
        retain: g_r, in the same order and of the same shapes.
        retain_weight: λ > 0.
        metric: the diagonal of P⁻¹ by parameter, positive; None for the Euclidean product.

    Raises:
        NonFiniteGradientError: a gradient holds NaN or infinity.
        ValueError: the lists differ in length or shapes, or λ is not a positive finite number.
    """
    products = dot_products(forget, retain, metric)
    return Restriction(*products, coefficients(*products, retain_weight))


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
    if not all(map(math.isfinite, (ff, fr, rr))):
        raise NonFiniteGradientError(
            f"gradients: their products are {ff}, {fr} and {rr}, must be finite; lower the learning rate, or "
            "look for NaN in latents and conditions"
        )
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


def combine(
    forget: Gradients, retain: Gradients, chosen: Coefficients, out: Sequence[Tensor] | None = None
) -> list[Tensor | None]:
    """``c_f g_f + c_r g_r``, by default written over the forget gradients.

    Args:
        forget: overwritten where ``out`` is None. None counts as zero: the result is then a new tensor.
        retain: left as it is.
        chosen: the coefficients.
        out: where to write instead, one tensor for every parameter.

    Returns:
        The combined gradients; None where both are None and no ``out`` is given.
    """
    combined: list[Tensor | None] = []
    for i, (f, r) in enumerate(zip(forget, retain, strict=True)):
        like = f if f is not None else r
        if out is not None:
            target: Tensor | None = out[i]
        else:
            target = f if f is not None or like is None else torch.empty_like(like)
        if target is not None:
            combine_tensor(target, f, r, chosen)
        combined.append(target)
    return combined


def combine_tensor(target: Tensor, f: Tensor | None, r: Tensor | None, chosen: Coefficients) -> None:
    """``c_f f + c_r r`` into ``target``, which may be ``f``; None counts as zero."""
    terms = [(dense(t), c) for t, c in ((f, chosen.forget), (r, chosen.retain)) if t is not None and c != 0]
    if not terms:
        target.zero_()
        return
    (first, scale), *rest = terms
    if rest and scale == 1 and abs(rest[0][1]) < HUGE:
        for into, x, y in pieces((target, first, rest[0][0])):
            torch.add(x, y, alpha=rest[0][1], out=into)
        return
    for into, *parts in pieces((target, *(t for t, _ in terms))):
        _scale(parts[0], terms[0][1], out=into)
        for part, scalar in zip(parts[1:], [c for _, c in terms[1:]], strict=True):
            if abs(scalar) < HUGE:
                into.add_(part, alpha=scalar)
            else:
                into.add_(_scale(part, scalar, out=torch.empty_like(part)))


def _scale(block: Tensor, scalar: float, out: Tensor) -> Tensor:
    """``scalar · block`` into ``out``; a scalar that float32 cannot hold is applied as two factors."""
    if abs(scalar) < HUGE:
        return out if scalar == 1 and out.data_ptr() == block.data_ptr() else torch.mul(block, scalar, out=out)
    factor = math.sqrt(abs(scalar))
    return torch.mul(block, math.copysign(factor, scalar), out=out).mul_(factor)
