"""<g_f,g_f>, <g_f,g_r> and <g_r,g_r> over two sets of gradients, block by block, in float32 or in float64.

Notation as in `expunge.unlearning.gradients`.
"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

Gradients = Sequence[Tensor | None]  # one for each parameter; None: the loss does not depend on it

# Elements a block: what is done to one stays in the processor's cache.
CPU_BLOCK = 1 << 18
DEVICE_BLOCK = 1 << 24

# Elements whose squares are added up in float32. Eight lanes (AVX2) add n/8 each; the worst a sum of k can be off is k
# times 6e-8 of itself: 4e-6 for 512.
ROW = 1 << 9

# Relative error granted to products in float32: of ff and rr to themselves, of fr to √(ff rr). Measured, up to 3e6
# elements: random and heavy-tailed 2e-7, all equal 1e-6, one large entry before each row of small ones 4e-6. Plain
# `torch.dot` over 2¹⁸: 2e-6, 2e-4 and 2e-4.
FLOAT32_ERROR = 1e-5


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
    return _summed(Products(), forget, retain, metric)


def quick_dot_products(
    forget: Gradients, retain: Gradients, metric: Sequence[Tensor] | None = None
) -> tuple[float, float, float]:
    """As `dot_products`, but in float32 on the tensors as they are: half the time, right to `FLOAT32_ERROR`.

    Squares that float32 cannot hold overflow to infinity or vanish: who uses the result has to look.
    """
    return _summed(QuickProducts(), forget, retain, metric)


def dot_products_by_tensor(forget: Gradients, retain: Gradients, metric: Sequence[Tensor] | None = None) -> Tensor:
    """As `dot_products`, one row for each parameter: float64 on the CPU, ``(parameters, 3)``."""
    products, rows = Products(), [torch.empty(0, 3, dtype=torch.float64)]
    for f, r, w in _by_parameter(forget, retain, metric):
        products.add(f, r, w)
        rows.append(products.take()[None].cpu())
    return torch.cat(rows)


def _summed(
    products: "Products | QuickProducts", forget: Gradients, retain: Gradients, metric: Sequence[Tensor] | None
) -> tuple[float, float, float]:
    for f, r, w in _by_parameter(forget, retain, metric):
        products.add(f, r, w)
    ff, fr, rr = products.take().tolist()
    return ff, fr, rr


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
    """In float64: tensors fill a block, large ones in pieces, small ones together; it is multiplied when full."""

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
            self.buffer = torch.empty(streams + 1, block_size(device), dtype=torch.float64, device=device)
        size = self.buffer.shape[1]
        for parts in zip(*(t.split(size) for t in flat(tensors)), strict=True):
            count = len(parts[0])
            if self.filled + count > size:
                self._multiply()
            end = self.filled + count
            for row, part in enumerate(parts):
                self.buffer[row, self.filled : end].copy_(part)
            self.filled = end

    def take(self) -> Tensor:
        """ff, fr and rr of everything added since the last call: float64, ``(3,)``, where the tensors are."""
        self._multiply()
        total = torch.zeros(3, dtype=torch.float64)
        if self.products:
            total = torch.stack(self.products).view(-1, 3).sum(dim=0)
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


class QuickProducts:
    """In float32 as far as a row or a block, in float64 beyond; no gradient is copied.

    A metric is applied as √(P⁻¹) to either gradient, so that no product leaves the range that its result is in.
    """

    def __init__(self) -> None:
        self.forget_norms: list[Tensor] = []
        self.retain_norms: list[Tensor] = []
        self.products: list[Tensor] = []
        self.scratch = torch.empty(3, 0)

    def add(self, forget: Tensor | None, retain: Tensor | None, metric: Tensor | None) -> None:
        """g_f, g_r and P⁻¹ of one parameter or a part of it, of one shape; an absent gradient counts as zero."""
        given = [t for t in (forget, retain, metric) if t is not None]
        if forget is None and retain is None:
            return
        size, device = min(block_size(given[0].device), given[0].numel()), given[0].device
        if self.scratch.device != device or self.scratch.shape[1] < size:
            self.scratch = torch.empty(3, size, device=device)
        for parts in zip(*(t.split(max(size, 1)) for t in flat(given)), strict=True):
            left, (root, *weighted) = iter(parts), self.scratch[:, : len(parts[0])]
            f, r, w = (None if t is None else next(left) for t in (forget, retain, metric))
            if w is not None:
                torch.sqrt(w, out=root)
                f, r = (None if g is None else torch.mul(g, root, out=o) for g, o in zip((f, r), weighted, strict=True))
            if f is not None:
                self.forget_norms += _row_norms(f)
            if r is not None:
                self.retain_norms += _row_norms(r)
            if f is not None and r is not None:
                # Not `torch.dot`, which adds one by one: `sum` adds in levels.
                self.products.append(torch.mul(f, r, out=root).sum().view(1))

    def take(self) -> Tensor:
        """ff, fr and rr of everything added since the last call: float64, ``(3,)``, where the tensors are."""
        found = []
        for of, power in ((self.forget_norms, 2), (self.products, 1), (self.retain_norms, 2)):
            values = torch.cat(of).double() if of else None
            found.append(None if values is None else values.pow(power).sum())
            of.clear()
        device = next((t.device for t in found if t is not None), torch.device("cpu"))
        zero = torch.zeros((), dtype=torch.float64, device=device)
        return torch.stack([zero if t is None else t for t in found])


def _row_norms(vector: Tensor) -> list[Tensor]:
    whole = len(vector) - len(vector) % ROW
    rows = (vector[:whole].view(-1, ROW), vector[whole:].view(1, -1))
    return [torch.linalg.vector_norm(r, dim=1) for r in rows if r.numel()]


def pieces(tensors: Sequence[Tensor]) -> list[tuple[Tensor, ...]]:
    """The tensors of one parameter in stretches that stay in the processor's cache, as views that can be written to.

    What is done to a stretch one thing after another passes through memory once. Whole where memory layouts differ.
    """
    size = block_size(tensors[0].device)
    if tensors[0].numel() > size:
        vectors = flat(tensors)
        if all(v.data_ptr() == t.data_ptr() for v, t in zip(vectors, tensors, strict=True)):
            return list(zip(*(v.split(size) for v in vectors), strict=True))
    return [tuple(tensors)]


def block_size(device: torch.device) -> int:
    """Elements to take at once."""
    return CPU_BLOCK if device.type == "cpu" else DEVICE_BLOCK


def flat(tensors: Sequence[Tensor]) -> list[Tensor]:
    """The tensors of one parameter in one dimension and one order of elements; views where layouts agree."""
    tensors = [dense(t) for t in tensors]
    if not all(t.is_contiguous() for t in tensors) and all(
        t.dim() == 4 and t.is_contiguous(memory_format=torch.channels_last) for t in tensors
    ):
        tensors = [t.permute(0, 2, 3, 1) for t in tensors]
    return [t.reshape(-1) for t in tensors]


def dense(tensor: Tensor) -> Tensor:
    """A sparse gradient filled up; any other as it is."""
    return tensor if tensor.layout == torch.strided else tensor.to_dense()
