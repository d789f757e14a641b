"""Where models run, and in which precision they compute. Torch is imported when it is needed."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from expunge.settings import Settings

Precision = Literal["float32", "bf16"]


class HardwareSettings(Settings):
    """Where models run, and how precisely."""

    device: str = Field(default="auto", description="a GPU where there is one; or cpu, cuda, cuda:1, …")
    precision: Precision = Field(
        default="float32",
        description="of the passes that draw, encode and train, and of what is frozen; what is trained and its steps "
        "are float32",
    )
    processes: int = Field(default=1, ge=1, le=64, description="that draw and train together, each on a GPU of its own")
    sharded: bool = Field(
        default=False, description="whether each of them holds a part of the denoiser (FSDP2) instead of all of it"
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.sharded and self.processes == 1:
            raise ValueError("sharded: there is one process, which holds all; set processes to 2 or more")
        if self.processes > 1 and ":" in self.device:
            raise ValueError(f"device: '{self.device}' is one, for {self.processes} processes; give 'cuda' or 'cpu'")
        return self


def computing(precision: Precision, device: Any) -> AbstractContextManager[Any]:
    """Passes in here are computed in that precision, as far as torch thinks it safe.

    Args:
        precision: ``float32`` changes nothing.
        device: a ``torch.device``.
    """
    if precision == "float32":
        return nullcontext()
    import torch

    from expunge.models.meta_autocast import MetaAutocast

    return MetaAutocast() if device.type == "meta" else torch.autocast(device.type, torch.bfloat16)
