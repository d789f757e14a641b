"""What of a denoiser is trained: all of it, its attention, chosen blocks, salient entries, or a low-rank adapter
beside it."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Literal, Self, cast

from pydantic import Field, model_validator

from expunge.errors import ExpungeError
from expunge.settings import Settings

if TYPE_CHECKING:  # torch takes seconds to import, and every pipeline's signature holds these settings
    from torch import nn

CROSS = "is_cross_attention"  # how diffusers' attention modules say that they read a text
QUERIES = ("to_q", "to_qkv_mlp_proj", "to_qkv")  # what an attention module has one of


class TrainedSettings(Settings):
    """What of the denoiser is trained."""

    what: Literal["denoiser", "attention", "cross_attention", "lora"] = Field(
        default="denoiser", description="everything; its attention; only that which reads the text; an adapter to it"
    )
    blocks: list[str] = Field(
        default_factory=list,
        description="parameters whose names fit one of these, e.g. 'mid_block.*'; all if none",
    )
    rank: int = Field(default=16, ge=1, le=1024, description="of the adapter")
    alpha: int | None = Field(default=None, ge=1, le=10_000, description="of the adapter's weight; null: its rank")
    seed: int = Field(default=0, ge=0, description="of the adapter's beginning")
    saliency: float | None = Field(
        default=None,
        gt=0,
        le=1,
        description="share of its entries that move, of the largest forget gradients; null: all, or as the method does",
    )
    gradient_checkpointing: bool = Field(
        default=False, description="keep less of a pass in memory and compute it again: a third more time"
    )

    @model_validator(mode="after")
    def _adapters_have_no_salient_entries(self) -> Self:
        if self.what == "lora" and self.saliency is not None:
            raise ValueError("saliency: an adapter has none of the model's weights; drop it, or train another part")
        return self

    def fits(self, name: str) -> bool:
        """Whether a parameter, or module, lies in one of the blocks."""
        return not self.blocks or any(fnmatchcase(name, each) for each in self.blocks)


def attention_modules(denoiser: nn.Module, crosswise: bool = False) -> dict[str, nn.Module]:
    """A denoiser's attention by name; only that which reads the text if ``crosswise``."""
    return {
        name: each
        for name, each in denoiser.named_modules()
        if any(hasattr(each, query) for query in QUERIES) and (not crosswise or getattr(each, CROSS, False))
    }


def prepare(denoiser: nn.Module, settings: TrainedSettings, to_step: bool = True) -> nn.Module:
    """A copy of a denoiser of which only that part requires a gradient. What is frozen is shared, not copied.

    Args:
        denoiser: left as it is.
        settings: which part.
        to_step: whether what is trained is to be changed; else it shares its memory with the denoiser too, for those
            who only want gradients, or cut both denoisers into shards, which are copies. Then no parameter is one with
            the denoiser's, whose own may be moved or replaced. Of weights held in bf16 there is a copy as they came in
            either case.

    Raises:
        ExpungeError: the denoiser has no such part.
        ValueError: it cannot checkpoint gradients.
    """
    from expunge.models.held_weights import as_it_came, own

    frozen = dict(denoiser.named_parameters())
    if settings.what != "lora":
        for name in _trained_names(denoiser, settings):
            del frozen[name]
    shared = {}
    for name, p in denoiser.named_parameters():
        if name in frozen:
            shared[p] = p if to_step else type(p)(p.detach())
        else:
            apart = to_step or as_it_came(p) is not p
            shared[p] = own(p) if apart else type(p)(p.detach())
    twin = shared_copy(denoiser, shared)
    for name, parameter in twin.named_parameters():
        parameter.requires_grad_(settings.what != "lora" and name not in frozen)
    if settings.what == "lora":
        from expunge.models.adapter import add_adapter

        add_adapter(twin, settings)
    if settings.gradient_checkpointing:
        cast(Any, twin).enable_gradient_checkpointing()
    return twin


def _trained_names(denoiser: nn.Module, settings: TrainedSettings) -> list[str]:
    names = [name for name, _ in denoiser.named_parameters()]
    if settings.what != "denoiser":
        inside = tuple(f"{each}." for each in attention_modules(denoiser, settings.what == "cross_attention"))
        names = [name for name in names if name.startswith(inside)] if inside else []
    return some([name for name in names if settings.fits(name)], settings)


def some(found: list[str], settings: TrainedSettings) -> list[str]:
    """What was found to be trained.

    Raises:
        ExpungeError: nothing.
    """
    if not found:
        within = f" in blocks {', '.join(settings.blocks)}" if settings.blocks else ""
        raise ExpungeError(
            f"unlearning.trained: the denoiser has no parameters of '{settings.what}'{within}; choose another part"
        )
    return found


def own_copy(denoiser: nn.Module) -> nn.Module:
    """A copy of which everything may be changed: weights held in bf16 are in it as they came."""
    from expunge.models.held_weights import own

    return shared_copy(denoiser, {each: own(each) for each in denoiser.parameters()})


def shared_copy(module: nn.Module, shared: Mapping[nn.Parameter, nn.Parameter]) -> nn.Module:
    """A copy that holds, in place of copies of the given parameters, what they are mapped to."""
    return copy.deepcopy(module, {id(each): instead for each, instead in shared.items()})
