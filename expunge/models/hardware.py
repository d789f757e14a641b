"""Where models run, and in which precision they compute. Torch is imported when it is needed."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any, Literal

from pydantic import Field

from expunge.settings import Settings

Precision = Literal["float32", "bf16"]


class HardwareSettings(Settings):
    """Where models run, and how precisely."""

    device: str = Field(default="auto", description="a GPU where there is one; or cpu, cuda, cuda:1, …")
    precision: Precision = Field(
        default="float32", description="of the passes that draw, encode and train; weights and steps are float32"
    )


def computing(precision: Precision, device: Any) -> AbstractContextManager[Any]:
    """Passes in here are computed in that precision, as far as torch thinks it safe; weights stay as they are.

    Args:
        precision: ``float32`` changes nothing.
        device: a ``torch.device``.
    """
    import torch

    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")
