"""Weights held in bf16, and what they came as.

Under autocast linear layers and convolutions round their weights to bf16 anew at every pass. Held in bf16, these take
half the memory and every pass gives the same bits. Norms, embeddings and tables, which autocast leaves alone, stay
float32. So does what is trained: an update is smaller than what bf16 can add to a weight.

What a weight came as stays in main memory, often in the file that it was read from, and goes where weights have to be
exact: into digests, into what is saved, into what is trained. It belongs to the weight, whichever models share it.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd
from torch.utils.weak import WeakIdKeyDictionary

ROUNDING = (nn.Linear, _ConvNd)  # whose weights and biases autocast rounds
_CAME: WeakIdKeyDictionary = WeakIdKeyDictionary()  # float32 tensors, by the parameter that is held in bf16


@torch.no_grad()
def hold(modules: Iterable[nn.Module]) -> None:
    """Round to bf16, in place, what autocast would round and nothing trains. On ``meta`` sizes alone change."""
    layers = [each for module in modules for each in module.modules()]
    # An embedding may be a layer's weight too: then it is read as it is.
    read = {id(p) for each in layers if not isinstance(each, ROUNDING) for p in each.parameters(recurse=False)}
    for layer in layers:
        for p in layer.parameters(recurse=False):
            if id(p) not in read and p.dtype == torch.float32 and not p.requires_grad:
                _CAME[p] = p.detach().to("meta" if p.is_meta else "cpu")
                p.data = p.detach().to(torch.bfloat16)


@torch.no_grad()
def give_back(modules: Iterable[nn.Module]) -> None:
    """Undo `hold`, in place: each weight as it came, where it is now."""
    for module in modules:
        for p in module.parameters():
            if p in _CAME:
                p.data = _CAME.pop(p).to(p.device)


def as_it_came(weight: Tensor) -> Tensor:
    """What a weight was before it was held in bf16, in main memory; one that is not is returned as it is."""
    return _CAME.get(weight, weight)


def own(weight: nn.Parameter) -> nn.Parameter:
    """A copy to be changed: as it came, where the weight is."""
    return nn.Parameter(as_it_came(weight).detach().to(weight.device, copy=True), weight.requires_grad)


@contextmanager
def as_they_came(modules: Iterable[nn.Module]) -> Iterator[None]:
    """Within the block, for those who write weights down, they are what they came as, in main memory."""
    held = {p: p.data for module in modules for p in module.parameters() if p in _CAME}
    try:
        for p in held:
            p.data = _CAME[p]
        yield
    finally:
        for p, rounded in held.items():
            p.data = rounded
