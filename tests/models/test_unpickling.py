"""Weights out of pickles: the same bits, and nothing of what else a pickle holds is run."""

import json
import pickle
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from expunge.errors import ExpungeError
from expunge.models.resolver import read_folder
from expunge.models.unpickling import convert_folder, weights_of
from tests.models.test_resolver import Trap


@pytest.fixture
def pickled(tiny_folder: Path, tmp_path: Path) -> Path:
    """The tiny model as it would have been published years ago."""
    folder = Path(shutil.copytree(tiny_folder, tmp_path / "old"))
    for weights in folder.rglob("*.safetensors"):
        name = "pytorch_model.bin" if weights.parent.name == "text_encoder" else "diffusion_pytorch_model.bin"
        torch.save(load_file(weights), weights.with_name(name))
        weights.unlink()
    return folder


def test_a_converted_folder_is_the_same_model(pickled: Path, tiny_model, tmp_path: Path):
    with pytest.raises(
        ExpungeError, match=r"holds no text_encoder/.*; `expunge convert` makes them of pytorch_model.bin"
    ):
        read_folder(pickled)
    assert len(convert_folder(pickled, tmp_path / "new")) == 3
    assert read_folder(tmp_path / "new").digest() == tiny_model.digest()
    assert not [path for path in (tmp_path / "new").rglob("*") if path.suffix == ".bin"]
    assert (pickled / "unet" / "diffusion_pytorch_model.bin").is_file()


def test_shards_are_found_by_their_new_names(tmp_path: Path):
    (tmp_path / "old").mkdir()
    index = {"weight_map": {}}
    for number in (1, 2):
        name = f"pytorch_model-0000{number}-of-00002.bin"
        torch.save({f"w{number}": torch.full((2,), number)}, tmp_path / "old" / name)
        index["weight_map"][f"w{number}"] = name
    (tmp_path / "old" / "pytorch_model.bin.index.json").write_text(json.dumps(index))
    convert_folder(tmp_path / "old", tmp_path / "new")
    read = json.loads((tmp_path / "new" / "model.safetensors.index.json").read_text())["weight_map"]
    assert {name: load_file(tmp_path / "new" / file)[name].tolist() for name, file in read.items()} == {
        "w1": [1, 1],
        "w2": [2, 2],
    }


def test_a_trap_is_not_sprung_and_nothing_is_written(pickled: Path, tmp_path: Path):
    file = pickled / "vae" / "diffusion_pytorch_model.bin"
    for write in (torch.save, lambda held, to: to.write_bytes(pickle.dumps(held))):
        write({"weight": Trap(tmp_path / "sprung")}, file)
        with pytest.raises(ExpungeError, match="is not converted: it holds more than weights, or is broken"):
            convert_folder(pickled, tmp_path / "new")
    assert not (tmp_path / "sprung").exists() and {each.name for each in tmp_path.iterdir()} == {"old"}


@pytest.mark.parametrize("held", [{}, {"a": 1}, [1, 2]])
def test_a_file_without_weights(held, tmp_path: Path):
    torch.save(held, tmp_path / "a.pt")
    with pytest.raises(ExpungeError, match="holds no tensors by name"):
        weights_of(tmp_path / "a.pt")


def test_a_checkpoint_keeps_its_weights_in_a_field(tmp_path: Path):
    torch.save({"state_dict": {"w": torch.arange(3)}, "epoch": 3}, tmp_path / "a.ckpt")
    assert {name: each.tolist() for name, each in weights_of(tmp_path / "a.ckpt").items()} == {"w": [0, 1, 2]}


def test_nothing_to_convert_and_no_place_for_it(tiny_folder: Path, pickled: Path, tmp_path: Path):
    with pytest.raises(ExpungeError, match=r"holds no \.bin, .* there is nothing to convert"):
        convert_folder(tiny_folder, tmp_path / "new")
    with pytest.raises(ExpungeError, match="is there already; give another folder"):
        convert_folder(pickled, pickled)
