"""What of a denoiser is trained."""

import pytest
import torch

from expunge.errors import ExpungeError
from expunge.models.resolver import read_folder
from expunge.models.trained_part import TrainedSettings, attention_modules
from tests.families import FAMILIES
from tests.models.families.conftest import family_folder, texts_of  # noqa: F401  a fixture

CROSSWISE = {"stable_diffusion", "stable_diffusion_2", "stable_diffusion_xl", "pixart_alpha", "pixart_sigma", "sana"}


@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_the_part_is_found_in_every_family(name, family_folder):  # noqa: F811
    model = read_folder(family_folder(name))
    assert attention_modules(model.denoiser)
    assert bool(attention_modules(model.denoiser, crosswise=True)) == (name in CROSSWISE)


def trained(model) -> set[str]:
    return {name for name, each in model.denoiser.named_parameters() if each.requires_grad}


def test_what_is_frozen_is_shared_and_what_is_trained_is_not(tiny_model):
    model = tiny_model.to_train(TrainedSettings(what="cross_attention"))
    known, own = dict(tiny_model.denoiser.named_parameters()), dict(model.denoiser.named_parameters())
    assert trained(model) and all("attn2" in name for name in trained(model))
    for name, parameter in own.items():
        assert (parameter.data_ptr() == known[name].data_ptr()) == (name not in trained(model))
        assert torch.equal(parameter, known[name])
    assert not any(each.requires_grad for each in known.values())


def test_blocks_choose_among_the_parameters(tiny_model):
    whole = trained(tiny_model.to_train(TrainedSettings()))
    assert whole == {name for name, _ in tiny_model.denoiser.named_parameters()}
    middle = trained(tiny_model.to_train(TrainedSettings(blocks=["mid_block.*", "conv_out.bias"])))
    assert middle == {name for name in whole if name.startswith("mid_block.") or name == "conv_out.bias"}
    adapter = trained(tiny_model.to_train(TrainedSettings(what="lora", blocks=["mid_block.*"])))
    assert adapter and all(name.startswith("mid_block.") and ".lora_" in name for name in adapter)


@pytest.mark.parametrize("what", ["denoiser", "attention", "cross_attention", "lora"])
def test_a_part_that_is_not_there(tiny_model, what):
    with pytest.raises(ExpungeError, match=rf"no parameters of '{what}' in blocks nowhere\.\*; choose another part"):
        tiny_model.to_train(TrainedSettings(what=what, blocks=["nowhere.*"]))


def test_joint_attention_has_none_that_reads_the_text_alone(family_folder):  # noqa: F811
    with pytest.raises(ExpungeError, match="no parameters of 'cross_attention'; choose another part"):
        read_folder(family_folder("flux")).to_train(TrainedSettings(what="cross_attention"))


@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_checkpointed_gradients_are_the_same(name, family_folder):  # noqa: F811
    model = read_folder(family_folder(name))
    model.at_size(model.smallest_size)
    noisy = torch.randn((2, *model.latent_shape), generator=torch.Generator().manual_seed(0))
    conditions = model.encode_texts(texts_of(name))
    found = []
    for checkpointing in (False, True):
        twin = model.to_train(TrainedSettings(gradient_checkpointing=checkpointing))
        kept = 0

        def keep(tensor):
            nonlocal kept
            kept += tensor.numel()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            loss = twin.predict(twin.denoiser, noisy, torch.tensor([100, 800]), conditions).square().mean()
        loss.backward()
        gradients = {name: each.grad for name, each in twin.denoiser.named_parameters() if each.grad is not None}
        found.append((kept, gradients))
    (whole, known), (less, again) = found
    assert less < whole
    assert known.keys() == again.keys()
    for key, gradient in known.items():
        torch.testing.assert_close(again[key], gradient, msg=key)


def test_an_adapter_begins_as_its_seed_says(tiny_model):
    one, same, other = (
        tiny_model.to_train(TrainedSettings(what="lora", seed=seed)).denoiser.state_dict() for seed in (0, 0, 1)
    )
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert any(not torch.equal(one[name], other[name]) for name in one)
