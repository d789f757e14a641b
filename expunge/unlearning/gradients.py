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
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from expunge.errors import ExpungeError

Gradients = Sequence[Tensor | None]  # one for each parameter; None: the loss does not depend on it

# Elements a block: float64 blocks stay in the processor's cache between conversion and products.
CPU_BLOCK = 1 << 18
DEVICE_BLOCK = 1 << 24

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


def dot_products(
    forget: Gradients, retain: Gradients, metric: Sequence[Tensor] | None = None
) -> tuple[float, float, float]:
    """<g_f,g_f>, <g_f,g_r> and <g_r,g_r> in one pass, accumulated in float64.

    Every block is converted to float64 before it is multiplied, so squares of float32 numbers neither
    overflow nor vanish; no tensor is converted as a whole.

    Args:
        forget: gradients of the forget loss by parameter; None counts as zero.
        retain: gradients of the retain loss, in the same order and of the same shapes.
        metric: the diagonal of P⁻¹ by parameter, positive; None for the Euclidean product.

    Returns:
        (ff, fr, rr). NaN or infinity in a gradient comes out as NaN or infinity.

    Raises:
        ValueError: the lists differ in length or shapes.
    """
    products = Products()
    for f, r, w in _by_parameter(forget, retain, metric):
        products.add(f, r, w)
    ff, fr, rr = products.take().tolist()
    return ff, fr, rr


def dot_products_by_tensor(forget: Gradients, retain: Gradients, metric: Sequence[Tensor] | None = None) -> Tensor:
    """As `dot_products`, one row for each parameter: float64 on the CPU, ``(parameters, 3)``."""
    products, rows = Products(), [torch.empty(0, 3, dtype=torch.float64)]
    for f, r, w in _by_parameter(forget, retain, metric):
        products.add(f, r, w)
        rows.append(products.take()[None])
    return torch.cat(rows)


def _by_parameter(
    forget: Gradients, retain: Gradients, metric: Sequence[Tensor] | None
) -> Iterator[tuple[Tensor | None, Tensor | None, Tensor | None]]:
    """g_f, g_r and P⁻¹ of each parameter."""
    weights: Gradients = [None] * len(forget) if metric is None else metric
    if not len(forget) == len(retain) == len(weights):
        raise ValueError(
            f"{len(forget)} forget gradients, {len(retain)} retain gradients, {len(weights)} metric tensors: "
            "must be one each for every parameter"
        )
    for of_parameter in zip(forget, retain, weights, strict=True):
        shapes = [tuple(t.shape) for t in of_parameter if t is not None]
        if len(set(shapes)) > 1:
            raise ValueError(f"tensors of one parameter differ in shape: {shapes}")
        yield of_parameter


class Products:
    """Sums of <g_f,g_f>, <g_f,g_r> and <g_r,g_r> over tensors as they come.

    Tensors fill a float64 block, large ones in pieces, small ones together; it is multiplied when full.
    """

    def __init__(self) -> None:
        self.buffer = torch.empty(0, 0, dtype=torch.float64)
        self.filled = 0
        self.products: list[Tensor] = []

    def add(self, forget: Tensor | None, retain: Tensor | None, metric: Tensor | None) -> None:
        """g_f, g_r and P⁻¹ of one parameter or a part of it, of one shape; an absent gradient counts as zero."""
        like = retain if forget is None else forget
        if like is None:
            return
        tensors = [torch.zeros_like(like) if t is None else t for t in (forget, retain)]
        tensors += [] if metric is None else [metric]
        device, streams = like.device, len(tensors)
        if self.buffer.device != device or len(self.buffer) != streams + 1:
            self._multiply()
            self.buffer = torch.empty(streams + 1, _block_size(device), dtype=torch.float64, device=device)
        size = self.buffer.shape[1]
        for pieces in zip(*(t.split(size) for t in _flat(tensors)), strict=True):
            count = len(pieces[0])
            if self.filled + count > size:
                self._multiply()
            end = self.filled + count
            for row, piece in enumerate(pieces):
                self.buffer[row, self.filled : end].copy_(piece)
            self.filled = end

    def take(self) -> Tensor:
        """ff, fr and rr of everything added since the last call: float64 on the CPU, ``(3,)``."""
        self._multiply()
        total = torch.zeros(3, dtype=torch.float64)
        if self.products:
            total = torch.stack(self.products).view(-1, 3).sum(dim=0).cpu()
        self.products = []
        return total

    def _multiply(self) -> None:
        if self.filled:
            x, y, *w, weighted = self.buffer[:, : self.filled]
            xw = torch.mul(x, w[0], out=weighted) if w else x
            self.products += [torch.dot(xw, x), torch.dot(xw, y)]
            yw = torch.mul(y, w[0], out=weighted) if w else y
            self.products.append(torch.dot(yw, y))
            self.filled = 0


def pieces(tensors: Sequence[Tensor]) -> list[tuple[Tensor, ...]]:
    """The tensors of one parameter in stretches that stay in the processor's cache, as views that can be written to.

    What is done to a stretch one thing after another passes through memory once. Whole where memory layouts differ.
    """
    size = _block_size(tensors[0].device)
    if tensors[0].numel() > size:
        flat = _flat(tensors)
        if all(view.data_ptr() == t.data_ptr() for view, t in zip(flat, tensors, strict=True)):
            return list(zip(*(t.split(size) for t in flat), strict=True))
    return [tuple(tensors)]


def _block_size(device: torch.device) -> int:
    return CPU_BLOCK if device.type == "cpu" else DEVICE_BLOCK


def _flat(tensors: Sequence[Tensor]) -> list[Tensor]:
    """The tensors of one parameter in one dimension and one order of elements; views where layouts agree."""
    tensors = [_dense(t) for t in tensors]
    if not all(t.is_contiguous() for t in tensors) and all(
        t.dim() == 4 and t.is_contiguous(memory_format=torch.channels_last) for t in tensors
    ):
        tensors = [t.permute(0, 2, 3, 1) for t in tensors]
    return [t.reshape(-1) for t in tensors]


def _dense(tensor: Tensor) -> Tensor:
    return tensor if tensor.layout == torch.strided else tensor.to_dense()


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
            "look for NaN in latents and embeddings"
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
    terms = [(_dense(t), c) for t, c in ((f, chosen.forget), (r, chosen.retain)) if t is not None and c != 0]
    if not terms:
        target.zero_()
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
