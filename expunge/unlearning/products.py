"""<g_f,g_f>, <g_f,g_r> and <g_r,g_r> over two sets of gradients, block by block, accumulated in float64.

Notation as in `expunge.unlearning.gradients`.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor

from expunge.unlearning import compiled

Gradients = Sequence[Tensor | None]  # one for each parameter; None: the loss does not depend on it
OfParameter = tuple[Tensor | None, Tensor | None, Tensor | None]  # g_f, g_r and P⁻¹, or a block of each

# Elements a block: what is done to one stays in the processor's cache.
CPU_BLOCK = 1 << 18
DEVICE_BLOCK = 1 << 24

# Elements below which starting threads takes longer than they save.
WORTH_THREADS = 1 << 22


def dot_products(
    forget: Gradients, retain: Gradients, metric: Sequence[Tensor] | None = None
) -> tuple[float, float, float]:
    """<g_f,g_f>, <g_f,g_r> and <g_r,g_r> in one pass, accumulated in float64.

    Every number is converted to float64 before it is multiplied, so squares of float32 numbers neither
    overflow nor vanish; no tensor is converted as a whole. Large sets are shared out among torch's threads.

    Args:
        forget: gradients of the forget loss by parameter; None counts as zero.
        retain: gradients of the retain loss, in the same order and of the same shapes.
        metric: the diagonal of P⁻¹ by parameter, positive; None for the Euclidean product.

    Returns:
        (ff, fr, rr). NaN or infinity in a gradient comes out as NaN or infinity.

    Raises:
        ValueError: the lists differ in length or shapes.
    """
    blocks = [block for of_parameter in _by_parameter(forget, retain, metric) for block in _blocks(of_parameter)]
    sizes = [_like(block).numel() for block in blocks]
    if sum(sizes) < WORTH_THREADS or any(_like(block).device.type != "cpu" for block in blocks):
        ff, fr, rr = _summed(blocks).tolist()
        return ff, fr, rr
    workers = torch.get_num_threads()
    share = -(-sum(sizes) // workers)
    shares: list[list[OfParameter]] = [[] for _ in range(workers)]
    before = 0
    for block, size in zip(blocks, sizes, strict=True):
        shares[before // share].append(block)
        before += size
    with ThreadPoolExecutor(workers) as pool:
        ff, fr, rr = torch.stack(list(pool.map(_summed, shares))).sum(dim=0).tolist()
    return ff, fr, rr


def dot_products_by_tensor(forget: Gradients, retain: Gradients, metric: Sequence[Tensor] | None = None) -> Tensor:
    """As `dot_products`, one row for each parameter: float64 on the CPU, ``(parameters, 3)``."""
    products, rows = Products(), [torch.empty(0, 3, dtype=torch.float64)]
    for f, r, w in _by_parameter(forget, retain, metric):
        products.add(f, r, w)
        rows.append(products.take()[None].cpu())
    return torch.cat(rows)


def _summed(blocks: Sequence[OfParameter]) -> Tensor:
    products = Products()
    for block in blocks:
        products.add(*block)
    return products.take()


def _blocks(of_parameter: OfParameter) -> Iterator[OfParameter]:
    """What there is of one parameter, cut where it is longer than a block; nothing of one without elements."""
    present = [t for t in of_parameter if t is not None]
    if (of_parameter[0] is None and of_parameter[1] is None) or not present[0].numel():
        return
    for parts in zip(*(t.split(block_size(t.device)) for t in flat(present)), strict=True):
        left = iter(parts)
        f, r, w = (None if t is None else next(left) for t in of_parameter)
        yield f, r, w


def _like(block: OfParameter) -> Tensor:
    return next(t for t in block if t is not None)


def _by_parameter(forget: Gradients, retain: Gradients, metric: Sequence[Tensor] | None) -> Iterator[OfParameter]:
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
    """Products of what is added, in float64.

    In the processor's memory one compiled loop forms all three. Elsewhere, and of half precision, tensors fill a
    float64 block, large ones in pieces, small ones together, and it is multiplied when full.
    """

    def __init__(self) -> None:
        self.buffer = torch.empty(0, 0, dtype=torch.float64)
        self.filled = 0
        self.products: list[Tensor] = []
        self.compiled: list[tuple[float, float, float]] = []

    def add(self, forget: Tensor | None, retain: Tensor | None, metric: Tensor | None) -> None:
        """g_f, g_r and P⁻¹ of one parameter or a part of it, of one shape; an absent gradient counts as zero."""
        like = retain if forget is None else forget
        if like is None:
            return
        tensors = [torch.zeros_like(like) if t is None else t for t in (forget, retain)]
        tensors = flat(tensors if metric is None else [*tensors, metric])
        if all(t.device.type == "cpu" and t.dtype in (torch.float32, torch.float64) for t in tensors):
            of_metric = compiled.products if metric is None else compiled.weighted_products
            self.compiled.append(of_metric(*(t.detach().numpy() for t in tensors)))
        else:
            self._fill(tensors)

    def take(self) -> Tensor:
        """ff, fr and rr of everything added since the last call: float64, ``(3,)``, where the tensors are."""
        self._multiply()
        total = torch.tensor(self.compiled, dtype=torch.float64).view(-1, 3).sum(dim=0)
        if self.products:
            blocks = torch.stack(self.products).view(-1, 3).sum(dim=0)
            total = blocks + total.to(blocks.device)
        self.products, self.compiled = [], []
        return total

    def _fill(self, tensors: Sequence[Tensor]) -> None:
        device, streams = tensors[0].device, len(tensors)
        if self.buffer.device != device or len(self.buffer) != streams + 1:
            self._multiply()
            self.buffer = torch.empty(streams + 1, block_size(device), dtype=torch.float64, device=device)
        size = self.buffer.shape[1]
        for parts in zip(*(t.split(size) for t in tensors), strict=True):
            count = len(parts[0])
            if self.filled + count > size:
                self._multiply()
            end = self.filled + count
            for row, part in enumerate(parts):
                self.buffer[row, self.filled : end].copy_(part)
            self.filled = end

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
