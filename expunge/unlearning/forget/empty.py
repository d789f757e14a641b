"""Towards what the original predicts without a prompt: E‖ε_θ(x_t, c_target) − ε₀(x_t, ∅)‖².

Guidance then has nothing to add under a sentence that asks for the target: it draws what the model draws unasked.
"""

from torch import Tensor

from expunge.unlearning.forget.forget_loss import ForgetLoss, Seen
from expunge.unlearning.objectives import noise_prediction_error


class Empty(ForgetLoss):
    """Distance to the original's prediction under the empty prompt."""

    forward_passes = 1
    scale = 1e-3

    def __call__(self, seen: Seen) -> Tensor:
        """The loss of a batch, ≥ 0."""
        return noise_prediction_error(seen.prediction, seen.original(seen.batch.under_empty_prompt())).mean()
