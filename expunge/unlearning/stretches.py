"""Parameters in stretches of memory: many small tensors together, a large one in parts.

What is done to a stretch one thing after another finds it in the processor's cache, and costs a few calls however many
tensors lie in it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from expunge.unlearning.products import Gradients, block_size, dense

Kind = tuple[torch.device, torch.dtype]


@dataclass(frozen=True)
class Piece:
    """A whole tensor, or a part of a large one's memory, within a stretch.

    Attributes:
        index: of the parameter.
        part: where in the stretch.
        shape: of the piece.
        stride: of the piece, in memory without gaps.
        offset: where in the parameter's memory a part begins; None for a whole tensor.
    """

    index: int
    part: slice
    shape: tuple[int, ...]
    stride: tuple[int, ...]
    offset: int | None

    def of(self, tensor: Tensor) -> Tensor:
        """The piece of a tensor that is laid out as the parameter; a whole one may be laid out anyhow."""
        if self.offset is None:
            return tensor
        return tensor.as_strided(self.shape, self.stride, tensor.storage_offset() + self.offset)

    def within(self, vector: Tensor) -> Tensor:
        """The piece of a stretch, as a view of the piece's shape."""
        return vector.as_strided(self.shape, self.stride, vector.storage_offset() + self.part.start)


@dataclass
class Stretch:
    """Neighbours in the vectors of their kind, from ``start`` on.

    Attributes:
        vectors: by name, ``(length,)``.
        views: of the vectors' pieces, by name.
    """

    kind: Kind
    start: int
    length: int = 0
    pieces: list[Piece] = field(default_factory=list)
    vectors: dict[str, Tensor] = field(default_factory=dict)
    views: dict[str, list[Tensor]] = field(default_factory=dict)

    def attach(self, name: str, vector: Tensor) -> None:
        """Give the stretch what it has of one vector."""
        self.vectors[name] = vector
        self.views[name] = [piece.within(vector) for piece in self.pieces]

    def present(self, name: str, tensors: Gradients) -> tuple[list[Tensor], list[Tensor]]:
        """The views of a vector that there are tensors for, and these tensors' pieces."""
        pairs = [
            (view, piece.of(tensor))
            for view, piece in zip(self.views[name], self.pieces, strict=True)
            if (tensor := tensors[piece.index]) is not None
        ]
        return [view for view, _ in pairs], [part for _, part in pairs]


class Stretches:
    """All parameters, grouped once, with vectors that go along with them.

    Args:
        parameters: of any kinds, shapes and memory layouts.
        kept: names of vectors as long as all parameters of a kind together; zero at first.
        scratch: names of vectors as long as the longest stretch, which all stretches share.

    Attributes:
        all: the stretches; the pieces of one parameter follow one another.
        by_parameter: of each kept vector views, each of its parameter's shape and memory layout.
    """

    def __init__(self, parameters: Sequence[Tensor], kept: Sequence[str], scratch: Sequence[str]) -> None:
        self.all: list[Stretch] = []
        self.strides = [torch.empty_like(p, device="meta").stride() for p in parameters]
        # A tensor with gaps in its memory can't be cut.
        self.cut = {
            index
            for index, (p, stride) in enumerate(zip(parameters, self.strides, strict=True))
            if p.numel() > block_size(p.device) and p.stride() == stride
        }
        sizes: dict[Kind, int] = {}
        starts = []
        for index, parameter in enumerate(parameters):
            kind = (parameter.device, parameter.dtype)
            starts.append(sizes.setdefault(kind, 0))
            self._place(index, parameter, starts[-1])
            sizes[kind] += parameter.numel()
        self.by_parameter: dict[str, list[Tensor]] = {}
        for name in kept:
            vectors = {kind: torch.zeros(n, device=kind[0], dtype=kind[1]) for kind, n in sizes.items()}
            for stretch in self.all:
                stretch.attach(name, vectors[stretch.kind][stretch.start : stretch.start + stretch.length])
            self.by_parameter[name] = [
                vectors[p.device, p.dtype].as_strided(p.shape, stride, start)
                for p, stride, start in zip(parameters, self.strides, starts, strict=True)
            ]
        for name in scratch:
            rooms = {
                kind: torch.empty(max(s.length for s in self.all if s.kind == kind), device=kind[0], dtype=kind[1])
                for kind in {s.kind for s in self.all}
            }
            for stretch in self.all:
                stretch.attach(name, rooms[stretch.kind][: stretch.length])

    def _place(self, index: int, parameter: Tensor, start: int) -> None:
        """Put a parameter after the last one of its kind, into that stretch or new ones."""
        kind, count, most = (parameter.device, parameter.dtype), parameter.numel(), block_size(parameter.device)
        into = next((s for s in reversed(self.all) if s.kind == kind), None)
        cut = index in self.cut
        for offset in range(0, count, most if cut else max(count, 1)):
            length = min(most, count - offset) if cut else count
            if into is None or into.length + length > most:
                into = Stretch(kind, start + offset)
                self.all.append(into)
            part = slice(into.length, into.length + length)
            if cut:
                into.pieces.append(Piece(index, part, (length,), (1,), offset))
            else:
                into.pieces.append(Piece(index, part, tuple(parameter.shape), self.strides[index], None))
            into.length += length

    def aligned(self, gradients: Gradients) -> list[Tensor | None]:
        """Gradients as `Piece.of` takes them: dense, and laid out as the parameter where that is cut."""
        found = [None if g is None else dense(g) for g in gradients]
        for index in self.cut:
            gradient, stride = found[index], self.strides[index]
            if gradient is not None and gradient.stride() != stride:
                found[index] = gradient.new_empty_strided(gradient.shape, stride).copy_(gradient)
        return found
