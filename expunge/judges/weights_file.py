"""Weights from a local safetensors file, and what numbers call them."""

import hashlib
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from expunge.errors import ExpungeError


def read_weights(path: str | Path, field: str, remedy: str) -> dict[str, torch.Tensor]:
    """The tensors of a safetensors file.

    Args:
        path: the file.
        field: the setting that names it, for messages.
        remedy: how to come by such a file, for messages.

    Raises:
        ExpungeError: there is none, or it is of another kind.
    """
    if not Path(path).is_file():
        raise ExpungeError(f"{field}: '{path}' given, which is not a file. {remedy}")
    try:
        return load_file(path)
    except SafetensorError as error:
        raise ExpungeError(f"{field}: '{path}' is not a safetensors file. {remedy}") from error


def weights_name(path: str | Path) -> str:
    """The first 8 hexadecimal digits of the file's SHA-256: numbers of other weights are not to be compared."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()[:8]
