"""Weights held in bf16: what passes compute is the same, and what they came as is not lost."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from expunge.models.hardware import computing
from expunge.models.held_weights import as_it_came, as_they_came, give_back, hold
from expunge.models.resolver import read_folder
from expunge.models.trained_part import TrainedSettings
from tests.families import FAMILIES
from tests.models.families.conftest import family_folder, texts_of  # noqa: F401  a fixture

CPU = torch.device("cpu")


@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_a_pass_gives_the_same_bits_as_from_float32_weights(name, family_folder):  # noqa: F811
    model = read_folder(family_folder(name))
    model.at_size(model.smallest_size).precision = "bf16"
    noisy = torch.randn((2, *model.latent_shape), generator=torch.Generator().manual_seed(0))
    conditions, level = model.encode_texts(texts_of(name)), torch.tensor([100, 800])
    predictions = []
    for _ in range(2):
        with torch.no_grad(), computing("bf16", CPU):
            predictions.append(model.predict(model.denoiser, noisy, level, conditions))
        model.on("cpu", "bf16")
    assert torch.equal(*predictions)
    held = sum(p.numel() for p in model.denoiser.parameters() if p.dtype == torch.bfloat16)
    assert held > (0.3 if name == "dit" else 0.9) * sum(p.numel() for p in model.denoiser.parameters())


def test_what_is_read_elsewhere_or_trained_is_not_rounded():
    tied, free = nn.Linear(4, 6, bias=False), nn.Linear(4, 4).requires_grad_(False)
    words = nn.Embedding(6, 4)
    words.weight = tied.weight
    model = nn.ModuleList([words, tied, free, nn.LayerNorm(4), nn.Linear(4, 4)]).requires_grad_(False)
    model[4].requires_grad_(True)
    hold([model])
    assert {name for name, p in model.named_parameters() if p.dtype == torch.bfloat16} == {"2.weight", "2.bias"}


def test_they_come_back_as_they_came():
    layer = nn.Linear(5, 3).requires_grad_(False)
    weight = layer.weight.clone()
    hold([layer])
    hold([layer])  # what is held already is left alone
    assert layer.weight.dtype == torch.bfloat16 and torch.equal(as_it_came(layer.weight), weight)
    with as_they_came([layer]):
        assert torch.equal(layer.weight, weight)
    assert layer.weight.dtype == torch.bfloat16
    give_back([layer])
    assert torch.equal(layer.weight, weight) and as_it_came(layer.weight) is layer.weight


@pytest.mark.parametrize("what", ["denoiser", "cross_attention", "lora"])
def test_what_is_trained_is_float32_and_what_is_frozen_is_saved_as_it_came(tiny_folder, tmp_path, what):
    base = read_folder(tiny_folder)
    came, digest = base.denoiser.state_dict(), base.digest()
    came = {name: each.clone() for name, each in came.items()}
    twin = base.on("cpu", "bf16").to_train(TrainedSettings(what=what, rank=2))
    trained = {name: p for name, p in twin.denoiser.named_parameters() if p.requires_grad}
    assert {p.dtype for p in trained.values()} == {torch.float32}
    for name, p in trained.items():
        assert what == "lora" or torch.equal(p, came[name])
    with torch.no_grad():
        for p in trained.values():
            p.add_(1e-6 + 1e-4 * torch.randn(p.shape, generator=torch.Generator().manual_seed(1)))
    stepped = {name: p.detach().clone() for name, p in trained.items()}
    unlearned = twin.trained(base)
    unlearned.save(tmp_path / "saved")
    saved = load_file(tmp_path / "saved/unet/diffusion_pytorch_model.safetensors")
    changed = {name for name in came if not torch.equal(saved[name], came[name])}
    if what == "lora":
        assert changed == {name for name in came if ".attn" in name and "to_" in name and name.endswith("weight")}
    else:
        assert changed == set(stepped) and all(torch.equal(saved[name], each) for name, each in stepped.items())
    assert base.digest() == digest
    assert unlearned.digest() == read_folder(tmp_path / "saved").digest() == unlearned.on("cpu", "bf16").digest()


def test_gradients_are_those_of_float32_masters(tiny_folder):
    """A copy for gradients alone cannot share what is rounded; what it is a gradient of is exact."""
    base = read_folder(tiny_folder)
    weight = base.denoiser.conv_in.weight.clone()
    twin = base.on("cpu", "bf16").to_train(TrainedSettings(), to_step=False)
    assert all(p.dtype == torch.float32 for p in twin.denoiser.parameters())
    assert torch.equal(twin.denoiser.conv_in.weight, weight)
    assert base.denoiser.conv_in.weight.dtype == torch.bfloat16


def test_models_that_share_parts_agree_on_what_they_came_as(tiny_folder):
    base = read_folder(tiny_folder)
    twin, digest = base.with_own_denoiser(), base.digest()
    for each in (base, twin):
        each.on("cpu", "bf16")
    assert base.digest() == twin.digest() == digest == twin.with_own_denoiser().digest()
    assert {p.dtype for p in twin.with_own_denoiser().denoiser.parameters()} == {torch.float32}
    base.on("cpu", "float32")
    assert base.digest() == twin.digest() == digest


def test_pictures_are_encoded_and_redrawn(tiny_folder):
    model = read_folder(tiny_folder).on("cpu", "bf16")
    pictures = model.draw(["a cat", "a dog"], [1, 2], steps=2)
    assert model.redraw(pictures, ["a cat", "a dog"], [1, 2], 0.5, steps=2).shape == pictures.shape
    exact = read_folder(tiny_folder)
    assert np.abs(exact.draw(["a cat", "a dog"], [1, 2], steps=2).astype(int) - pictures).mean() < 3
