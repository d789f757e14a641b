"""A model as its files describe it, without its weights: shapes and sizes to reckon with, in no memory."""

import importlib
import inspect
import json
from pathlib import Path
from typing import Any

import torch
from torch import nn

from expunge.errors import ExpungeError
from expunge.models.diffusers_model import DiffusersModel
from expunge.models.loading import LOADING
from expunge.models.pipeline_folder import INDEX, UNUSED
from expunge.models.resolver import family_of, folder_of


def blueprint(source: str) -> DiffusersModel:
    """A model on torch's device ``meta``: tensors have shapes and no content, and so has what they give.

    Args:
        source: a named model or a diffusers folder.

    Raises:
        ExpungeError: it is neither, or of a family that is no diffusers pipeline.
    """
    folder = folder_of(source)
    family = family_of(folder)
    if not issubclass(family, DiffusersModel):
        raise ExpungeError(f"model: '{source}' is no diffusers pipeline; its memory is not reckoned")
    index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
    taken = inspect.signature(family.PIPELINE.__init__).parameters
    named = {name: each for name, each in index.items() if name in taken}  # parts, and settings of the pipeline itself
    kinds = {name: _kind(*each) for name, each in named.items() if _is_part(each) and name not in UNUSED}
    modules = [name for name, kind in kinds.items() if issubclass(kind, nn.Module)]
    parts: dict[str, Any] = {name: None if isinstance(each, list) else each for name, each in named.items()}
    with LOADING:
        parts |= {name: kind.from_pretrained(folder / name) for name, kind in kinds.items() if name not in modules}
        with torch.device("meta"):
            parts |= {name: _described(kinds[name], folder / name) for name in modules}
        return family(family.PIPELINE(**parts), folder)


def _is_part(entry: Any) -> bool:
    """Of the index: a library and a class in it; a part that is left out has neither."""
    return isinstance(entry, list) and len(entry) == 2 and bool(entry[1])


def _kind(library: str, name: str) -> Any:
    return getattr(importlib.import_module(library), name)


def _described(kind: Any, folder: Path) -> nn.Module:
    """A module of diffusers or transformers by its configuration."""
    if hasattr(kind, "load_config"):
        return kind.from_config(kind.load_config(folder))
    return kind._from_config(kind.config_class.from_pretrained(folder))
