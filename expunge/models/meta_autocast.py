"""Autocast for tensors without content: torch's own knows devices alone, and ``meta`` is none."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_map

# As torch's lists for CUDA say, https://docs.pytorch.org/docs/stable/amp.html, of what denoisers and encoders use.
ROUNDED = {
    functional.linear, functional.conv1d, functional.conv2d, functional.conv3d, functional.conv_transpose1d,
    functional.conv_transpose2d, functional.scaled_dot_product_attention, torch.matmul, Tensor.matmul,
    Tensor.__matmul__, torch.bmm, Tensor.bmm, torch.baddbmm, torch.einsum,
}  # fmt: skip
EXACT = {
    functional.layer_norm, functional.group_norm, functional.softmax, torch.softmax, Tensor.softmax, torch.pow,
    Tensor.pow, torch.rsqrt, torch.exp, functional.mse_loss,
}  # fmt: skip


class MetaAutocast(TorchFunctionMode):
    """Sizes and dtypes within the block are those of a pass under autocast to bf16 on a GPU."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call with the dtype that autocast would choose; what it has no opinion on, as it is."""
        dtype = torch.bfloat16 if func in ROUNDED else torch.float32 if func in EXACT else None
        if dtype is None:
            return func(*args, **(kwargs or {}))

        def chosen(each: Any) -> Any:
            return each.to(dtype) if isinstance(each, Tensor) and each.is_floating_point() else each

        return func(*tree_map(chosen, args), **tree_map(chosen, kwargs or {}))
