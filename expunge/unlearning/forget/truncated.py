"""Away from the target, as far as a threshold: −E[min(‖ε − ε_θ(x_t, c_target)‖², τ)], element by element.

Source: the forget loss of Ko et al., NeurIPS 2024, arXiv 2412.07808, which has no threshold.

It says what must not be predicted, and not what should: driven far it leaves noise where a picture was.
"""

from torch import Tensor

from expunge.unlearning.forget.forget_loss import ForgetLoss, Seen
from expunge.unlearning.objectives import noise_prediction_error, truncated_forget_loss


class Truncated(ForgetLoss):
    """Truncated ascent on pictures of the target.

    Args:
        threshold: τ, squared units of the prediction.
    """

    way = 0.1  # forgetting speeds up as it goes: the error grows with its own square root
    depth = 0.6  # further it damages more and forgets no better

    def __init__(self, threshold: float) -> None:
        self.threshold, self.floor, self.scale = threshold, -threshold, threshold

    def __call__(self, seen: Seen) -> Tensor:
        """The loss of those pictures of a batch that show the target; 0 if none does."""
        error = noise_prediction_error(seen.prediction, seen.target)
        if seen.batch.shows_target is not None:
            error = error[seen.batch.shows_target]
        return truncated_forget_loss(error, self.threshold) if len(error) else error.sum()
