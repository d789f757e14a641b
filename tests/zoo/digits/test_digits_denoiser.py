"""Training the digits' model: it learns, it is the same again, and it leaves the caller's random numbers alone."""

import pytest
import torch
from pydantic import ValidationError

from expunge.zoo.digits.digits_data import CLASSES, read_digits
from expunge.zoo.digits.digits_denoiser import DenoiserRecipe, train_model
from tests.zoo.digits.tiny import make_tiny_digits

TINY = DenoiserRecipe(steps=30, batch_size=16, channels=(16, 16), averaging=0.5, learning_rate=1e-2)


def error(model) -> float:
    """Mean squared error of the predicted velocity, always on the same noise."""
    generator = torch.Generator().manual_seed(7)
    digits = read_digits().select(torch.arange(100))
    noise = torch.randn(digits.pictures.shape, generator=generator)
    timesteps = torch.randint(1000, (100,), generator=generator)
    with torch.no_grad():
        noisy = model.noisy(digits.pictures, noise, timesteps)
        predicted = model.denoiser(noisy, timesteps, class_labels=digits.labels).sample
    return (predicted - model.target(digits.pictures, noise, timesteps)).square().mean().item()


def test_training_lowers_the_error_and_is_the_same_again():
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    model = train_model(read_digits(), TINY, progress=False)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert error(model) < 0.6 * error(make_tiny_digits())
    assert model.classes == CLASSES and not any(p.requires_grad for p in model.denoiser.parameters())
    assert train_model(read_digits(), TINY, progress=False).digest() == model.digest()
    other = TINY.model_copy(update={"seed": 1})
    assert train_model(read_digits(), other, progress=False).digest() != model.digest()


def test_the_recipes_size():
    from expunge.zoo.digits.digits_denoiser import make_denoiser

    count = sum(p.numel() for p in make_denoiser(DenoiserRecipe().channels).parameters())
    assert 500_000 < count < 800_000


def test_what_is_left_out_is_never_seen():
    nines = train_model(read_digits(), TINY.model_copy(update={"leave_out": CLASSES[:9]}), progress=False)
    everything = train_model(read_digits(), TINY, progress=False)
    digits, noise = read_digits(), torch.randn((100, 1, 8, 8), generator=torch.Generator().manual_seed(3))

    def error_of(model, number):
        shown = digits.pictures[digits.labels == number][:100]
        levels = torch.full((100,), 500)
        predicted = model.denoiser(model.noisy(shown, noise, levels), levels, class_labels=torch.full((100,), number))
        return (predicted.sample - model.target(shown, noise, levels)).square().mean().item()

    assert error_of(nines, 9) < error_of(everything, 9)
    assert error_of(nines, 1) > error_of(everything, 1)


@pytest.mark.parametrize(("names", "what"), [(("ten",), "there is no digit 'ten'"), (CLASSES, "all digits")])
def test_leaving_out_the_unknown_or_everything_is_refused(names, what):
    with pytest.raises(ValidationError, match=what):
        DenoiserRecipe(leave_out=names)
