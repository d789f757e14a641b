"""Weights out of pickles, without running what else a pickle may hold."""

import json
import pickle
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from expunge.errors import ExpungeError

PICKLED = (".bin", ".pt", ".pth", ".ckpt")


def convert_folder(folder: Path, to: Path, progress: Any = iter) -> list[str]:
    """Copy a folder, with every pickled file of weights as a safetensors file.

    Args:
        folder: is left as it is.
        to: must not be there yet.
        progress: goes through the files, and may show how far.

    Returns:
        Names of the files that were converted.

    Raises:
        ExpungeError: there is nothing to convert, ``to`` is there, or a file holds more than weights. Then nothing is
            written.
    """
    if to.exists():
        raise ExpungeError(f"--out: {to} is there already; give another folder")
    files = sorted(each for each in folder.rglob("*") if each.is_file())
    pickled = [each for each in files if each.suffix in PICKLED]
    if not pickled:
        raise ExpungeError(f"folder: {folder} holds no {', '.join(PICKLED)} file; there is nothing to convert")
    half = to.with_name(f".{to.name}.half")
    shutil.rmtree(half, ignore_errors=True)
    try:
        for each in progress(files):
            place = half / each.relative_to(folder)
            place.parent.mkdir(parents=True, exist_ok=True)
            if each.suffix in PICKLED:
                save_file(weights_of(each), place.with_name(_named(each.name)), {"format": "pt"})
            elif each.name.endswith(".bin.index.json"):
                index = json.loads(each.read_text(encoding="utf-8"))
                index["weight_map"] = {key: _named(value) for key, value in index["weight_map"].items()}
                name = _named(each.name.removesuffix(".index.json")) + ".index.json"
                place.with_name(name).write_text(json.dumps(index, indent=2), encoding="utf-8")
            else:
                shutil.copyfile(each, place)
        half.rename(to)
    finally:
        shutil.rmtree(half, ignore_errors=True)
    return [str(each.relative_to(folder)) for each in pickled]


def weights_of(file: Path) -> dict[str, Tensor]:
    """The tensors of a pickled file, each with memory of its own.

    Raises:
        ExpungeError: it holds anything but tensors and plain values, or cannot be read.
    """
    try:
        held = torch.load(file, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise ExpungeError(f"'{file}' is not converted: it holds more than weights, or is broken: {reason}") from error
    held = held.get("state_dict", held) if isinstance(held, dict) else {}
    found = {name: each.contiguous().clone() for name, each in held.items() if isinstance(each, Tensor)}
    if not found:
        raise ExpungeError(f"'{file}' is not converted: it holds no tensors by name")
    return found


def _named(name: str) -> str:
    """As transformers and diffusers call the same file of safetensors."""
    renamed = Path(name).with_suffix(".safetensors").name
    return renamed.replace("pytorch_model", "model") if renamed.startswith("pytorch_model") else renamed
