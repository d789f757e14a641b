"""What is minimised: the forget loss, the retain loss, and the retain loss's alignment-aware form.

Source: Ko et al., NeurIPS 2024, arXiv 2412.07808. Pure functions of predictions, all of shape ``(b, c, h,
w)``.

Differs from the paper: the forget loss is truncated, element by element, so that it has no gradient where
forgetting is done; the retain loss may also be the distance to the original model's own prediction.
"""

from torch import Tensor


def noise_prediction_error(prediction: Tensor, target: Tensor) -> Tensor:
    """Squared error of each element, ``(b, c, h, w)``.

    Raises:
        ValueError: the shapes differ.
    """
    if prediction.shape != target.shape:
        raise ValueError(f"prediction is {tuple(prediction.shape)}, target {tuple(target.shape)}: must be equal")
    return (prediction - target).square()


def truncated_forget_loss(error: Tensor, threshold: float) -> Tensor:
    """−mean(min(error, τ)), a scalar in [−τ, 0]; elements whose error has reached τ have no gradient.

    Raises:
        ValueError: the threshold τ is not positive.
    """
    if not threshold > 0:
        raise ValueError(f"forget threshold is {threshold}: must be positive")
    return -error.clamp(max=threshold).mean()


def retain_loss(error: Tensor) -> Tensor:
    """Mean error, a scalar ≥ 0: the denoiser's own training loss on the retain set."""
    return error.mean()


def alignment_loss(prediction: Tensor, original: Tensor) -> Tensor:
    """Mean squared distance to the original model's own prediction, a scalar ≥ 0; 0 at θ₀.

    Its gradient at θ₀ is zero too: it says nothing before the model has moved.
    """
    return noise_prediction_error(prediction, original).mean()


def negative_guidance(conditioned: Tensor, baseline: Tensor, guidance: float) -> Tensor:
    """baseline − η (conditioned − baseline): away from what the prompt adds, all ``(b, c, h, w)``.

    Source: Gandikota et al., ICCV 2023, arXiv 2303.07345, the target of ESD, for predictions of the noise. The
    coefficients sum to one and all predictions are of the same noisy latents, so the same holds for velocities.

    Args:
        conditioned: prediction under the target's prompt.
        baseline: prediction under the empty prompt, or another one without the target.
        guidance: η ≥ 0; 0 gives the baseline.
    """
    return baseline - guidance * (conditioned - baseline)
