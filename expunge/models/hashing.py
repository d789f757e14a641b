"""What a model's digest is made of."""

import hashlib
import inspect
import json
from typing import Any

import torch


def update_with_weights(digest: Any, component: str, module: torch.nn.Module) -> None:
    """Feed names, shapes, dtypes and values of a module's tensors to a hash, in the order of their names."""
    for name, tensor in sorted(module.state_dict().items()):
        digest.update(f"{component}.{name} {tuple(tensor.shape)} {tensor.dtype}\n".encode())
        digest.update(tensor.detach().cpu().reshape(-1).view(torch.uint8).numpy().tobytes())


def module_digest(module: torch.nn.Module, *facts: str) -> str:
    """SHA-256 over a module's tensors and whatever else its answers depend on."""
    digest = hashlib.sha256("\n".join(facts).encode())
    update_with_weights(digest, "module", module)
    return digest.hexdigest()


def scheduler_facts(scheduler: Any) -> bytes:
    """What a diffusers scheduler knows of its configuration, as JSON.

    Leftovers of another kind of scheduler are left out: they are lost when it is saved.
    """
    known = inspect.signature(type(scheduler).__init__).parameters
    facts = {key: value for key, value in dict(scheduler.config).items() if key in known}
    return json.dumps(facts, sort_keys=True, default=str).encode()
