"""The losses: direction, closed form, and where the gradient ends."""

import pytest
import torch

from expunge.unlearning.objectives import (
    alignment_loss,
    negative_guidance,
    noise_prediction_error,
    retain_loss,
    truncated_forget_loss,
)


def test_error_is_the_square_of_each_element() -> None:
    error = noise_prediction_error(torch.tensor([1.0, -2.0]), torch.tensor([0.0, 1.0]))
    assert error.tolist() == [1.0, 9.0]
    assert retain_loss(error).item() == 5.0


def test_forget_loss_falls_with_the_error_until_the_threshold() -> None:
    error = torch.tensor([0.5, 2.0, 7.0], requires_grad=True)
    loss = truncated_forget_loss(error, threshold=3.0)
    assert loss.item() == pytest.approx(-(0.5 + 2.0 + 3.0) / 3)
    loss.backward()
    assert error.grad is not None
    assert error.grad.tolist() == pytest.approx([-1 / 3, -1 / 3, 0.0])


def test_alignment_loss_is_zero_at_the_original_and_so_is_its_gradient() -> None:
    prediction = torch.randn(5, requires_grad=True)
    loss = alignment_loss(prediction, prediction.detach())
    loss.backward()
    assert prediction.grad is not None
    assert loss.item() == 0 and prediction.grad.count_nonzero() == 0
    assert alignment_loss(prediction.detach() + 2, prediction.detach()).item() == pytest.approx(4.0, rel=1e-5)


def test_negative_guidance_goes_away_from_the_prompt_and_is_the_same_for_noise_and_velocity() -> None:
    conditioned, free = torch.tensor([3.0, 1.0]), torch.tensor([1.0, 1.0])
    assert negative_guidance(conditioned, free, 0.5).tolist() == [0.0, 1.0]
    assert negative_guidance(conditioned, free, 0.0).tolist() == free.tolist()
    alpha, sigma, noisy = 0.8, 0.6, torch.tensor([0.3, -2.0])  # noise = σ x_t + α v
    guided = negative_guidance(sigma * noisy + alpha * conditioned, sigma * noisy + alpha * free, 2.0)
    torch.testing.assert_close(guided, sigma * noisy + alpha * negative_guidance(conditioned, free, 2.0))


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\(2,\).*\(3,\)"):
        noise_prediction_error(torch.zeros(2), torch.zeros(3))
    with pytest.raises(ValueError, match="threshold"):
        truncated_forget_loss(torch.zeros(2), 0.0)
