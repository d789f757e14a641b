"""Adapters of every family: stock diffusers reads them, the base is untouched, and one of another model is refused."""

import shutil
from pathlib import Path

import pytest
import torch
from diffusers import DiffusionPipeline
from safetensors.torch import load, save_file

from expunge.errors import ExpungeError
from expunge.models.adapter import FILE, adapted_layers, apply_adapter, original_of, switched_off
from expunge.models.resolver import open_model, read_folder
from expunge.models.trained_part import TrainedSettings
from tests.families import FAMILIES
from tests.models.families.conftest import family_folder, texts_of  # noqa: F401  a fixture

LORA = TrainedSettings(what="lora", rank=3, alpha=5)
WITHOUT = ("pixart_alpha", "pixart_sigma", "dit")  # stock diffusers has no adapters for them


@pytest.fixture(params=sorted(FAMILIES))
def family(request, family_folder):  # noqa: F811
    model = read_folder(family_folder(request.param))
    return request.param, model.at_size(model.smallest_size)


def moved(denoiser: torch.nn.Module) -> None:
    """As if it had been trained."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for each in denoiser.parameters():
            if each.requires_grad:
                each.add_(torch.randn(each.shape, generator=generator), alpha=0.3)


def predicted(model, name: str, denoiser=None) -> torch.Tensor:
    level = torch.tensor([300])
    noisy = torch.randn((1, *model.latent_shape), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        return model.predict(denoiser or model.denoiser, noisy, level, model.encode_texts(texts_of(name)[:1]))


def test_stock_diffusers_reads_it_and_predicts_the_same_bits(family, family_folder, tmp_path):  # noqa: F811
    name, base = family
    digest, before = base.digest(), predicted(base, name)
    model = base.to_train(LORA)
    assert torch.equal(predicted(model, name), before)  # it begins without effect
    moved(model.denoiser)
    with_adapter = predicted(model, name)
    assert not torch.allclose(with_adapter, before)
    original = original_of(model.denoiser)
    assert torch.equal(predicted(model, name, original), before)
    assert torch.equal(predicted(model, name), with_adapter)  # it is switched on again
    model.trained(base)
    assert base.digest() == digest and torch.equal(predicted(base, name), before)
    assert not adapted_layers(model.denoiser) and not any(p.requires_grad for p in model.denoiser.parameters())
    assert torch.allclose(predicted(model, name), with_adapter, atol=2e-5)
    if name in WITHOUT:
        assert model.adapter
        return
    (tmp_path / FILE).write_bytes(model.adapter)
    stock = DiffusionPipeline.from_pretrained(family_folder(name), local_files_only=True, use_safetensors=True)
    stock.load_lora_weights(tmp_path, local_files_only=True)
    assert torch.equal(predicted(base, name, getattr(stock, base.DENOISER).eval()), with_adapter)
    model.save(tmp_path / "saved")
    assert read_folder(tmp_path / "saved").adapter == model.adapter
    again, _ = open_model(f"{family_folder(name)}?adapter={tmp_path / FILE}")
    assert torch.equal(predicted(again.at_size(base.size), name), predicted(model, name))
    assert again.digest() == model.digest() != digest


def adapter_of(folder: Path, to: Path) -> Path:
    base = read_folder(folder)
    model = base.to_train(LORA)
    moved(model.denoiser)
    to.write_bytes(model.trained(base).adapter)
    return to


def test_an_adapter_of_another_base_is_refused(family_folder, tmp_path):  # noqa: F811
    file = adapter_of(family_folder("stable_diffusion"), tmp_path / "a.safetensors")
    other = shutil.copytree(family_folder("stable_diffusion"), tmp_path / "other")
    tensors = load((weights := next((other / "unet").glob("*.safetensors"))).read_bytes())
    save_file({key: each * 1.001 for key, each in tensors.items()}, weights, {"format": "pt"})
    with pytest.raises(ExpungeError, match=r"belongs to the model [0-9a-f]{12}…, this one is [0-9a-f]{12}…"):
        open_model(f"{other}?adapter={file}")


def test_an_adapter_that_would_do_nothing_is_refused(family_folder, tmp_path):  # noqa: F811
    file = adapter_of(family_folder("flux"), tmp_path / "flux.safetensors")
    foreign = tmp_path / "foreign.safetensors"
    save_file(load(file.read_bytes()), foreign)  # without the digest, as others write it
    with pytest.raises(ExpungeError, match="has no effect on this model"):
        open_model(f"{family_folder('stable_diffusion')}?adapter={foreign}")
    model = read_folder(family_folder("dit"))
    with pytest.raises(ExpungeError, match="stock diffusers loads none into a DiTPipeline"):
        apply_adapter(model.pipeline, "transformer", file, model.digest())


@pytest.mark.parametrize("content", [b"", b"no such thing"])
def test_what_is_no_adapter(content, family_folder, tmp_path):  # noqa: F811
    (tmp_path / "a.safetensors").write_bytes(content)
    with pytest.raises(ExpungeError, match="is no safetensors file"):
        open_model(f"{family_folder('stable_diffusion')}?adapter={tmp_path / 'a.safetensors'}")
    with pytest.raises(ExpungeError, match="is not there"):
        open_model(f"{family_folder('stable_diffusion')}?adapter={tmp_path / 'b.safetensors'}")


def test_switched_off_is_switched_on_again_after_an_error(family_folder):  # noqa: F811
    model = read_folder(family_folder("stable_diffusion")).to_train(LORA)
    moved(model.denoiser)
    before = predicted(model, "stable_diffusion")
    with pytest.raises(RuntimeError, match="oh"), switched_off(model.denoiser):
        raise RuntimeError("oh")
    assert torch.equal(predicted(model, "stable_diffusion"), before)
