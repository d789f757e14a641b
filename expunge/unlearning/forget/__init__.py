"""Forget losses by name, one file each. To add one: its file, and its line here."""

from collections.abc import Callable, Mapping

from expunge.errors import ExpungeError
from expunge.unlearning.forget.anchor import Anchor
from expunge.unlearning.forget.empty import Empty
from expunge.unlearning.forget.forget_loss import ForgetLoss, Seen, WeightedSum
from expunge.unlearning.forget.truncated import Truncated

__all__ = ["FORGET_LOSSES", "ForgetLoss", "Seen", "make_forget_loss"]

FORGET_LOSSES: dict[str, Callable[[float, float], ForgetLoss]] = {
    "truncated": lambda threshold, _: Truncated(threshold),
    "anchor": lambda _, guidance: Anchor(guidance),
    "empty": lambda *_: Empty(),
}


def make_forget_loss(weights: Mapping[str, float], threshold: float, guidance: float) -> ForgetLoss:
    """The forget loss, or the sum of them, of these names.

    Args:
        weights: > 0, by name.
        threshold: τ of the truncated one.
        guidance: η of the anchor.

    Raises:
        ExpungeError: there is no loss of that name, or none is named, or a weight is not above zero.
    """
    if unknown := [name for name in weights if name not in FORGET_LOSSES]:
        raise ExpungeError(f"forget: '{unknown[0]}' is not known; known are {', '.join(FORGET_LOSSES)}")
    if not weights or min(weights.values()) <= 0:
        raise ExpungeError(f"forget: {dict(weights)} given; name at least one loss, with a weight above 0")
    return WeightedSum({FORGET_LOSSES[name](threshold, guidance): weight for name, weight in weights.items()})
