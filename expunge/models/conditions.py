"""What text encoders give a denoiser. Torch is imported when it is needed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    Conditions = dict[str, Tensor]
else:
    Conditions = dict[str, Any]
"""What text encoders give a denoiser: tensors by the name under which it takes them, each ``(n, …)``."""

TOKENS = "encoder_hidden_states"  # what cross-attention reads, ``(n, tokens, d)``


def chosen(conditions: Conditions, indices: Tensor) -> Conditions:
    """The conditions at ``indices``, int64 ``(b,)``; each ``(b, …)``."""
    return {name: tensor[indices] for name, tensor in conditions.items()}


def cast(conditions: Conditions, device: torch.device, dtype: torch.dtype) -> Conditions:
    """The conditions on a device; those of floating point in a dtype. What has no content stays on ``meta``."""
    return {
        name: tensor.to(
            tensor.device if tensor.is_meta else device, dtype if tensor.is_floating_point() else tensor.dtype
        )
        for name, tensor in conditions.items()
    }


def filled_up(batches: Sequence[Tensor]) -> list[Tensor]:
    """Batches ``(b, tokens, …)`` of equally many tokens: zeros after those that have fewer. Others stay as they are."""
    import torch

    longest = max((each.shape[1] for each in batches if each.dim() > 1), default=0)

    def filled(each: Tensor) -> Tensor:
        missing = longest - each.shape[1] if each.dim() > 1 else 0
        return torch.cat([each, each.new_zeros(len(each), missing, *each.shape[2:])], dim=1) if missing else each

    return [filled(each) for each in batches]
