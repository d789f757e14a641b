"""Training the digits' model: it learns, it is the same again, and it leaves the caller's random numbers alone."""

import torch

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
