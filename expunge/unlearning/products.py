"""Inner products of gradients, accumulated in float64, block by block.

Notation as in `expunge.unlearning.gradients`. Numbers are converted to float64 before they are multiplied, so squares
of float32 numbers neither overflow nor vanish; no large tensor is converted as a whole.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from expunge.unlearning.gradients import NonFiniteGradientError

Gradients = Sequence[Tensor | None]  # one for each parameter; None: the loss does not depend on it

# Elements at a time: worth a call, and little memory.
CPU_BLOCK = 1 << 18
DEVICE_BLOCK = 1 << 24

# Entries of float64 gradients from here on are refused, since their products could overflow, whatever was averaged.
LARGEST = 1e120


def block_size(tensor: Tensor, streams: int = 1) -> int:
    """Elements to take at once where the tensor is, of as many streams as that."""
    return max(CPU_BLOCK // streams, 1) if tensor.device.type == "cpu" else DEVICE_BLOCK


def groups(tensors: Sequence[Tensor]) -> list[list[int]]:
    """Places of neighbours of one device and dtype, together at most a block; a longer tensor is alone."""
    found: list[list[int]] = []
    room, kind = 0, None
    for index, tensor in enumerate(tensors):
        if kind != (tensor.device, tensor.dtype) or tensor.numel() > room:
            kind, room = (tensor.device, tensor.dtype), block_size(tensor)
            found.append([])
        found[-1].append(index)
        room -= tensor.numel()
    return found


def dense(gradients: Gradients, like: Sequence[Tensor]) -> list[Tensor]:
    """Zeros where there is none; a sparse one filled up."""
    found = [torch.zeros_like(p) if g is None else g for g, p in zip(gradients, like, strict=True)]
    return [g if g.layout == torch.strided else g.to_dense() for g in found]


def refuse_too_large(gradients: Sequence[Tensor], names: Sequence[str], objective: str, weight: float = 1.0) -> None:
    """Raise if ``weight`` times a gradient holds NaN, infinity, or a number whose products could overflow.

    Raises:
        NonFiniteGradientError: names the objective and the parameter.
    """
    norms = torch._foreach_norm(list(gradients))  # no entry is larger, and it takes a fraction of the time to find
    bounds = torch.stack([norm.to(norms[0].device) for norm in norms]).tolist() if norms else []
    for name, gradient, bound in zip(names, gradients, bounds, strict=True):
        limit = min(math.sqrt(torch.finfo(gradient.dtype).max), LARGEST) / max(weight, 1.0)
        if bound < 0.99 * limit:  # rounding of the norm
            continue
        size = gradient.abs().max().item()
        if not size < limit:
            raise NonFiniteGradientError(
                f"{objective} gradient of {name}: largest entry is {size}, must be below {limit:.3g}; "
                "lower the learning rate, or look for NaN in latents and conditions"
            )


def gram(vectors: Sequence[Tensor], scale: Tensor | None = None) -> Tensor:
    """Products of vectors with each other and themselves.

    Args:
        vectors: k of them, ``(n,)`` each.
        scale: the diagonal of P^(−½), as long: all vectors are multiplied by it in its precision, and the products are
            those of what comes out. None for the Euclidean product.

    Returns:
        Float64, ``(k, k)``, on the vectors' device. NaN or infinity comes out as NaN or infinity.
    """
    first, count = vectors[0], len(vectors)
    total = torch.zeros(count, count, dtype=torch.float64, device=first.device)
    # In its own precision and in float64: two streams each.
    size, precision = min(block_size(first, 2 * count), len(first)), first.dtype if scale is None else scale.dtype
    # Fresh memory for each block would cost more than what is done in it.
    scaled, exact = (first.new_empty(count, size, dtype=dtype) for dtype in (precision, torch.float64))
    for *parts, s in zip(*(v.split(max(size, 1)) for v in (*vectors, first if scale is None else scale)), strict=True):
        work, rows = scaled[:, : len(s)], exact[:, : len(s)]
        for row, part in zip(work, parts, strict=True):
            row.copy_(part) if scale is None else torch.mul(part, s, out=row)
        total.addmm_(rows.copy_(work), rows.mT)
    return total


def dot_products(
    forget: Gradients, retain: Gradients, metric: Sequence[Tensor] | None = None
) -> tuple[float, float, float]:
    """<g_f,g_f>, <g_f,g_r> and <g_r,g_r>.

    Args:
        forget: gradients of the forget loss by parameter; None counts as zero.
        retain: gradients of the retain loss, in the same order and of the same shapes.
        metric: the diagonal of P⁻¹ by parameter, positive; None for the Euclidean product.

    Returns:
        (ff, fr, rr). NaN or infinity in a gradient comes out as NaN or infinity.

    Raises:
        ValueError: the lists differ in length or shapes.
    """
    weights: Gradients = [None] * len(forget) if metric is None else metric
    if not len(forget) == len(retain) == len(weights):
        raise ValueError(
            f"{len(forget)} forget gradients, {len(retain)} retain gradients, {len(weights)} metric tensors: "
            "must be one each for every parameter"
        )
    known = [i for i, pair in enumerate(zip(forget, retain, strict=True)) if pair != (None, None)]
    like = [next(g for g in (forget[i], retain[i]) if g is not None) for i in known]
    for i in known:
        shapes = [tuple(t.shape) for t in (forget[i], retain[i], weights[i]) if t is not None]
        if len(set(shapes)) > 1:
            raise ValueError(f"tensors of one parameter differ in shape: {shapes}")
    total = torch.zeros(2, 2, dtype=torch.float64)
    for group in groups(like):
        f, r, w = (
            torch.cat([t.reshape(-1) for t in dense([of[known[i]] for i in group], [like[i] for i in group])])
            for of in (forget, retain, weights)
        )
        total += gram((f, r), None if metric is None else w.double().sqrt_()).cpu()
    (ff, fr), (_, rr) = total.tolist()
    return ff, fr, rr


def slopes(forget: Sequence[Tensor], retain: Sequence[Tensor], direction: Sequence[Tensor]) -> Tensor:
    """<g_f,u> and <g_r,u>, float64 ``(2,)`` on the CPU; lists of tensors of the same shapes, on one device."""
    found = []
    for gradients in (forget, retain):
        terms = [torch.dot(g.reshape(-1), u.reshape(-1)) for g, u in zip(gradients, direction, strict=True)]
        found.append(torch.stack(terms).double().sum())
    return torch.stack(found).cpu()
