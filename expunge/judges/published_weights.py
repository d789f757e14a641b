"""Published weights of one network as safetensors, under the names that timm gives them."""

from pathlib import Path

import torch
from safetensors.torch import save_file

from expunge.errors import ExpungeError
from expunge.judges.timm_extractor import timm_network
from expunge.models.unpickling import weights_of


def convert_weights(source: Path, out: Path, timm_model: str = "") -> int:
    """Write the tensors of a ``.pth`` file as safetensors; code that hides in one is never run.

    Args:
        source: a state dict as ``torch.save`` writes it, alone or under ``state_dict``.
        out: the file to write; one that is there is left as it is.
        timm_model: a timm network whose names the tensors are to have. They are matched by place: the published file
            must hold as many tensors, of the same shapes in the same order.

    Returns:
        The number of tensors.

    Raises:
        ExpungeError: there is no such file, it holds more than tensors or other ones than the network, or ``out``
            exists or is no safetensors file.
    """
    if out.suffix != ".safetensors" or out.exists():
        raise ExpungeError(f"out: '{out}' given; name a new file that ends in .safetensors")
    tensors = weights_of(source)
    if timm_model:
        tensors = _renamed(tensors, timm_network(timm_model).state_dict(), source, timm_model)
    out.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, out)
    return len(tensors)


def _renamed(
    tensors: dict[str, torch.Tensor], wanted: dict[str, torch.Tensor], source: Path, model: str
) -> dict[str, torch.Tensor]:
    given, asked = ([tuple(each.shape) for each in table.values()] for table in (tensors, wanted))
    if given != asked:
        place = next((i for i, pair in enumerate(zip(given, asked, strict=False)) if pair[0] != pair[1]), "their end")
        raise ExpungeError(
            f"source: the {len(given)} tensors of '{source}' are not the {len(asked)} of timm's {model} (they differ "
            f"at {place}); name the network that they were published for"
        )
    return dict(zip(wanted, tensors.values(), strict=True))
