"""Sharded denoisers: FSDP2 cuts every parameter along its first axis, a part for each process."""

import tempfile
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn


def blocks_of(denoiser: nn.Module) -> list[nn.Module]:
    """What is cut and made whole by itself, innermost first, the denoiser with what is left last."""
    names = getattr(denoiser, "_no_split_modules", None) or []
    inner = [each for each in denoiser.modules() if type(each).__name__ in names and each is not denoiser]
    return [*reversed(inner), denoiser]


def shard(denoiser: nn.Module, device: str) -> None:
    """Cut a denoiser into shards, in place, block by block.

    After each pass nothing but shards is kept, of the outermost too: the next pass must see what became of them.

    Args:
        denoiser: all processes hold the same one.
        device: type of the processes' devices, ``cpu`` or ``cuda``.
    """
    # They take a second to import, and one process needs none of it.
    from torch.distributed import get_world_size
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    mesh = init_device_mesh(device, (get_world_size(),))
    for block in blocks_of(denoiser):
        fully_shard(block, mesh=mesh, reshard_after_forward=True)


def local(tensor: Tensor) -> Tensor:
    """This process's shard, without a gradient, in the same memory; a tensor that is whole is returned as it is."""
    shard_of_it = getattr(tensor.detach(), "to_local", None)
    return tensor if shard_of_it is None else shard_of_it()


def shard_of(whole: Tensor, like: Tensor, rank: int, size: int) -> Tensor:
    """The part of a whole tensor that belongs to this process's shard, as `shard` cuts it; whole where that is.

    Args:
        whole: the same in all processes.
        like: the shard, which may be empty.
        rank: of this process.
        size: number of processes.
    """
    if like.shape == whole.shape:
        return whole
    parts = whole.chunk(size)
    return parts[rank] if rank < len(parts) else whole[:0]


@torch.no_grad()
def whole(shard: Tensor, like: Tensor) -> Tensor:
    """What the shards of all processes are together, on the CPU; every process asks.

    Args:
        shard: this process's, or what ``like`` is.
        like: a parameter that is cut in the same way; where it is whole, so is the shard.
    """
    from torch.distributed.tensor import DTensor

    if not isinstance(like, DTensor):
        return shard.detach().cpu()
    cut = DTensor.from_local(
        local(shard), like.device_mesh, like.placements, run_check=False, shape=like.shape, stride=like.stride()
    )
    return cut.full_tensor().cpu()


def gathered(shards: dict[str, Tensor], like: Mapping[str, Tensor], keep: bool) -> dict[str, Tensor]:
    """Whole tensors by parameter, on the CPU, in the memory of files: that of the process itself might not hold all of
    them, and the system writes out what it wants the room of. Every process asks.

    Args:
        shards: by parameter; each is let go as soon as it is whole.
        like: parameters that are cut in the same way.
        keep: whether this process wants them; else it gets none.
    """
    found = {}
    for name in list(shards):
        together = whole(shards.pop(name), like[name])
        if keep:
            found[name] = _in_file(together)
    return found


def _in_file(tensor: Tensor) -> Tensor:
    """A copy in a file that nobody else sees and that is gone with it."""
    if not tensor.numel():
        return tensor
    with tempfile.TemporaryDirectory(prefix="expunge-") as folder:
        file = str(Path(folder) / "tensor")
        mapped = torch.from_file(file, shared=True, size=tensor.numel(), dtype=tensor.dtype).view(tensor.shape)
        return mapped.copy_(tensor)
