"""Which parameters let the prompt in: those of the cross-attention, by name."""

from collections.abc import Mapping

from torch import nn

from expunge.errors import ExpungeError


def cross_attention_parameters(
    unet: nn.Module, trained: Mapping[str, nn.Parameter], projections: tuple[str, ...] = ()
) -> dict[str, nn.Parameter]:
    """Trained parameters of the denoiser's cross-attention, in their order.

    Args:
        unet: a denoiser whose attention modules say ``is_cross_attention``, as diffusers' do.
        trained: parameters to choose from, by name.
        projections: only the weights of these, e.g. ``to_k`` and ``to_v``; all parameters if empty.

    Raises:
        ExpungeError: there are none: the denoiser has no cross-attention, or it is frozen.
    """
    found: dict[str, nn.Parameter] = {}
    for name, module in unet.named_modules():
        if getattr(module, "is_cross_attention", False):
            inside = [f"{name}.{each}" for each, _ in module.named_parameters()]
            wanted = {f"{name}.{projection}.weight" for projection in projections} or set(inside)
            found |= {each: trained[each] for each in inside if each in wanted and each in trained}
    if not found:
        raise ExpungeError(
            "denoiser: has no trained cross-attention parameter, which this method moves; unfreeze them, choose other "
            "parameters in method_options, or choose another method"
        )
    return found
