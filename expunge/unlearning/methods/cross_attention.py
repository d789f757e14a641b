"""Which parameters let the prompt in: those of the cross-attention, by name."""

from collections.abc import Mapping

from torch import nn

from expunge.errors import ExpungeError


def cross_attention_names(denoiser: nn.Module, projections: tuple[str, ...] = ()) -> list[str]:
    """Names of the parameters of the denoiser's cross-attention, frozen or not, in their order; none if it has none.

    Args:
        denoiser: a denoiser whose attention modules say ``is_cross_attention``, as diffusers' do.
        projections: only the weights of these, e.g. ``to_k`` and ``to_v``; all parameters if empty.
    """
    found = []
    for name, module in denoiser.named_modules():
        if getattr(module, "is_cross_attention", False):
            wanted = {f"{projection}.weight" for projection in projections}
            found += [f"{name}.{each}" for each, _ in module.named_parameters() if not wanted or each in wanted]
    return found


def cross_attention_parameters(
    denoiser: nn.Module, trained: Mapping[str, nn.Parameter], projections: tuple[str, ...] = ()
) -> dict[str, nn.Parameter]:
    """Trained parameters among `cross_attention_names`.

    Args:
        denoiser: the denoiser.
        trained: parameters to choose from, by name.
        projections: as there.

    Raises:
        ExpungeError: there are none: the denoiser has no cross-attention, or it is frozen.
    """
    found = {name: trained[name] for name in cross_attention_names(denoiser, projections) if name in trained}
    if not found:
        raise ExpungeError(
            "denoiser: has no trained cross-attention parameter, which this method moves; unfreeze them, choose other "
            "parameters in method_options, or choose another method"
        )
    return found
