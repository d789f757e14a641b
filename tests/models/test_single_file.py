"""One file for other programs: diffusers reads back the same bits, and it is called as such files are."""

import pytest
import torch
from diffusers import DiffusionPipeline
from safetensors.torch import load_file

from expunge.errors import ExpungeError
from expunge.models.resolver import open_model, read_folder
from tests.models.families.conftest import family_folder, texts_of  # noqa: F401  a fixture
from tests.tiny import make_single_file

KNOWN = ("stable_diffusion", "stable_diffusion_xl")


@pytest.mark.parametrize("name", KNOWN)
def test_diffusers_reads_back_the_same_bits(name, family_folder, tmp_path):  # noqa: F811
    folder = family_folder(name)
    model = read_folder(folder)
    model.save_single_file(tmp_path / "one.safetensors")
    again, _ = open_model(f"{tmp_path / 'one.safetensors'}?config={folder}")
    for part, module in model.parts().items():
        if isinstance(module, torch.nn.Module):
            known, read = module.state_dict(), again.parts()[part].state_dict()
            assert known.keys() == read.keys()
            assert all(torch.equal(known[key], read[key]) for key in known), part
    model.at_size(32), again.at_size(32)
    assert (model.draw(texts_of(name), [1, 2], steps=2) == again.draw(texts_of(name), [1, 2], steps=2)).all()


def test_it_is_called_as_such_files_are(tiny_folder, tmp_path):
    make_single_file(DiffusionPipeline.from_pretrained(tiny_folder), tmp_path / "by hand.safetensors")
    read_folder(tiny_folder).save_single_file(tmp_path / "one.safetensors")
    by_hand, ours = load_file(tmp_path / "by hand.safetensors"), load_file(tmp_path / "one.safetensors")
    assert {name: each.shape for name, each in by_hand.items()} == {name: each.shape for name, each in ours.items()}
    assert all(torch.equal(by_hand[name], ours[name]) for name in ours)


def test_stable_diffusion_2_has_the_layer_that_nobody_reads(family_folder, tmp_path):  # noqa: F811
    model = read_folder(family_folder("stable_diffusion_2"))
    model.pipeline.text_encoder.config.hidden_act = "gelu"
    model.save_single_file(tmp_path / "one.safetensors")
    prefix, held = "cond_stage_model.model.", load_file(tmp_path / "one.safetensors")
    text = {name.removeprefix(prefix): each for name, each in held.items() if name.startswith(prefix)}
    layers = {name.split(".")[2] for name in text if name.startswith("transformer.resblocks.")}
    assert layers == {"0", "1", "2", "3"}  # one more than the encoder has
    width = model.pipeline.text_encoder.config.hidden_size
    assert text["transformer.resblocks.0.attn.in_proj_weight"].shape == (3 * width, width)
    assert {"token_embedding.weight", "positional_embedding", "ln_final.weight"} <= text.keys()
    query = model.pipeline.text_encoder.state_dict()["encoder.layers.1.self_attn.q_proj.weight"]
    assert torch.equal(text["transformer.resblocks.1.attn.in_proj_weight"][:width], query)


def test_there_is_no_such_layout_for_others(family_folder, tmp_path):  # noqa: F811
    with pytest.raises(ExpungeError, match="no such layout for a FluxPipeline; export it --to diffusers"):
        read_folder(family_folder("flux")).save_single_file(tmp_path / "one.safetensors")
    assert not list(tmp_path.iterdir())
