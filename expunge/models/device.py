"""Where models run."""

import torch

from expunge.errors import ExpungeError


def choose_device(name: str = "auto") -> str:
    """A device by name; ``auto`` takes a CUDA GPU if there is one. Products of gradients need float64: no ``mps``.

    Raises:
        ExpungeError: torch knows no such device, or it is not there.
    """
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(1, device=name)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = (str(error).strip().splitlines() or [""])[0][:200]
        raise ExpungeError(f"device: '{name}' cannot be used: {reason}; give 'auto', 'cpu' or 'cuda'.") from error
    return name
