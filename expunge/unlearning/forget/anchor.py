"""Towards what the original predicts for what is to be drawn instead: E‖ε_θ(x_t, c_target) − ε*‖².

ε* = ε₀(x_t, c_anchor) − η (ε₀(x_t, c_target) − ε₀(x_t, c_anchor)): the anchor's prediction, pushed on, away from the
target's. Without the push a tenth of the way is left when the loss is down to a hundredth, and that tenth still shows.

Sources: the model-based objective of Kumari et al., ICCV 2023, arXiv 2303.13516, which has η = 0; negative guidance of
Gandikota et al., ICCV 2023, arXiv 2303.07345, whose baseline is the empty prompt.

Differs from the papers: ε₀ is the original, which stays as it was, not the model itself without a gradient; x_t are
noised pictures of the target and of the anchor in turn. The former alone leave the second half of sampling untaught:
there x_t shows the anchor already.
"""

from torch import Tensor

from expunge.unlearning.forget.forget_loss import ForgetLoss, Seen
from expunge.unlearning.objectives import negative_guidance, noise_prediction_error


class Anchor(ForgetLoss):
    """Distance to the original's prediction for the anchor, or for a little beyond it.

    Args:
        guidance: η ≥ 0.
    """

    uses_anchors = True
    scale = 1e-3  # a hundredth of it apart, two sentences mean the same to a model

    def __init__(self, guidance: float) -> None:
        self.guidance, self.forward_passes = guidance, 2 if guidance else 1

    def __call__(self, seen: Seen) -> Tensor:
        """The loss of a batch, ≥ 0."""
        goal = seen.original(seen.batch.under_anchors())
        if self.guidance:
            goal = negative_guidance(seen.original(seen.batch), goal, self.guidance)
        return noise_prediction_error(seen.prediction, goal).mean()
