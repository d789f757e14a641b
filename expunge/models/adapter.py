"""Low-rank adapters beside a denoiser's weights (Hu et al., ICLR 2022, arXiv 2106.09685), by peft.

Files are those of stock diffusers: ``load_lora_weights`` reads them. The digest of the model they belong to is in their
metadata, since diffusers takes an adapter of another family and then draws as if there were none.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import peft
import torch
from diffusers.training_utils import _collate_lora_metadata
from diffusers.utils import convert_state_dict_to_diffusers
from diffusers.utils.peft_utils import recurse_remove_peft_layers
from peft.tuners.tuners_utils import BaseTunerLayer
from peft.utils import get_peft_model_state_dict
from safetensors import SafetensorError, safe_open
from safetensors.torch import load, save
from torch import nn

from expunge.errors import ExpungeError
from expunge.models.held_weights import own
from expunge.models.trained_part import TrainedSettings, attention_modules, shared_copy, some

FILE = "pytorch_lora_weights.safetensors"  # as stock diffusers calls it
BASE = "expunge_base_digest"  # in the metadata: SHA-256 of the model that it belongs to


def add_adapter(denoiser: nn.Module, settings: TrainedSettings) -> None:
    """Put an adapter beside every linear layer of the attention, in place; only it requires a gradient.

    It begins without effect: one of its two factors is zero.

    Raises:
        ExpungeError: there is no attention, or none in those blocks.
    """
    linear = [
        f"{name}.{inner}"
        for name, module in attention_modules(denoiser).items()
        for inner, each in module.named_modules()
        if isinstance(each, nn.Linear)
    ]
    targets = some([name for name in linear if settings.fits(name)], settings)
    config = peft.LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha or settings.rank,
        init_lora_weights="gaussian",
        target_modules=sorted(set(targets)),
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        if hasattr(denoiser, "add_adapter"):
            denoiser.add_adapter(config)  # type: ignore[operator]
        else:
            peft.inject_adapter_in_model(config, denoiser)
    for each in denoiser.parameters():
        if each.requires_grad and each.dtype == torch.bfloat16:  # peft makes it like the weights beside it
            each.data = each.data.float()
    denoiser.eval()


def adapted_layers(denoiser: nn.Module) -> list[BaseTunerLayer]:
    """Layers with an adapter; none if the denoiser has none."""
    return [each for each in denoiser.modules() if isinstance(each, BaseTunerLayer)]


@contextmanager
def switched_off(denoiser: nn.Module) -> Iterator[nn.Module]:
    """The denoiser as it was before it got its adapter, bit for bit."""
    layers = adapted_layers(denoiser)
    for each in layers:
        each.enable_adapters(False)
    try:
        yield denoiser
    finally:
        for each in layers:
            each.enable_adapters(True)


def original_of(denoiser: nn.Module) -> nn.Module:
    """The denoiser as it is now, whatever becomes of what is trained: itself with its adapter switched off, else a
    copy that shares what is frozen."""
    if adapted_layers(denoiser):
        return _WithoutAdapter(denoiser)
    frozen = {each: each for each in denoiser.parameters() if not each.requires_grad}
    return shared_copy(denoiser, frozen).requires_grad_(False).eval()


class _WithoutAdapter(nn.Module):
    """A denoiser that is asked with its adapter switched off; no part of it, so that freezing one leaves the other."""

    def __init__(self, denoiser: nn.Module) -> None:
        super().__init__()
        self._asked = [denoiser]

    def forward(self, *given: Any, **named: Any) -> Any:
        """As the denoiser without an adapter."""
        with switched_off(self._asked[0]) as denoiser:
            return denoiser(*given, **named)


def merge(denoiser: nn.Module) -> None:
    """Add the adapter to the weights as they came, in place, and remove it. What it shares with others is unchanged."""
    for layer in adapted_layers(denoiser):
        inner = cast(Any, layer.get_base_layer())
        inner.weight = own(inner.weight)
        cast(Any, layer).merge(safe_merge=True)
    recurse_remove_peft_layers(denoiser)
    for name in ("peft_config", "_hf_peft_config_loaded"):
        if hasattr(denoiser, name):
            delattr(denoiser, name)
    denoiser.requires_grad_(False)


def adapter_file(pipeline: Any, name: str, denoiser: nn.Module, base_digest: str) -> bytes:
    """The adapter as a safetensors file.

    Args:
        pipeline: that the denoiser belongs to; of a family without adapters in stock diffusers, peft's own names are
            kept.
        name: of the denoiser in the pipeline.
        denoiser: with its adapter.
        base_digest: of the model without it.
    """
    state = get_peft_model_state_dict(denoiser)
    with tempfile.TemporaryDirectory() as folder:
        if hasattr(pipeline, "save_lora_weights"):
            if name == "unet":
                state = convert_state_dict_to_diffusers(state)
            facts = _collate_lora_metadata({name: denoiser})
            pipeline.save_lora_weights(folder, **{f"{name}_lora_layers": state}, **facts)
            content = Path(folder, FILE).read_bytes()
        else:
            content = save({f"{name}.{key}": each.contiguous() for key, each in state.items()})
        path = Path(folder, "read.safetensors")
        path.write_bytes(content)
        with safe_open(str(path), "pt") as known:
            metadata = dict(known.metadata() or {})
    return save(load(content), metadata | {"format": "pt", BASE: base_digest})


def apply_adapter(pipeline: Any, name: str, file: Path, digest: str) -> None:
    """Load an adapter into a pipeline and merge it.

    Args:
        pipeline: a stock one.
        name: of its denoiser.
        file: a safetensors file.
        digest: of the model that the pipeline belongs to.

    Raises:
        ExpungeError: it belongs to another model, is no adapter, or has no effect on this one.
    """
    if not hasattr(pipeline, "load_lora_weights"):
        raise ExpungeError(f"adapter: stock diffusers loads none into a {type(pipeline).__name__}")
    try:
        with safe_open(str(file), "pt") as known:
            belongs, keys = (known.metadata() or {}).get(BASE), list(known.keys())
    except (OSError, SafetensorError) as error:
        raise ExpungeError(f"adapter: '{file}' is no safetensors file: {error}") from error
    if belongs not in (None, digest):
        raise ExpungeError(
            f"adapter: '{file}' belongs to the model {belongs[:12]}…, this one is {digest[:12]}…; give its own base"
        )
    denoiser = getattr(pipeline, name)
    pipeline.load_lora_weights(str(file.parent), weight_name=file.name, local_files_only=True)
    layers = adapted_layers(denoiser)
    if not layers or not pipeline.get_active_adapters():
        raise ExpungeError(f"adapter: '{file}' has no effect on this model; its weights are called {keys[0]} and so on")
    merge(denoiser)
