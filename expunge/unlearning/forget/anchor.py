"""Towards what the original predicts for the sentence that is to be drawn instead: E‖ε_θ(x_t, c_target) − ε₀(x_t, c_anchor)‖².

Source: the model-based objective of Kumari et al., ICCV 2023, arXiv 2303.13516.

Differs from the paper: ε₀ is the original, which stays as it was, not the model itself without a gradient; x_t are
noised pictures of the target and of the anchor, half and half. The former alone leave the second half of sampling
untaught: there x_t shows the anchor already.
"""

from torch import Tensor

from expunge.unlearning.forget.forget_loss import ForgetLoss, Seen
from expunge.unlearning.objectives import noise_prediction_error


class Anchor(ForgetLoss):
    """Distance to the original's prediction for the anchor."""

    forward_passes = 1
    uses_anchors = True
    scale = 0.1  # of the squared difference between two sentences' predictions

    def __call__(self, seen: Seen) -> Tensor:
        """The loss of a batch, ≥ 0."""
        return noise_prediction_error(seen.prediction, seen.original(seen.batch.under_anchors())).mean()
