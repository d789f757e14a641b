"""Folders of diffusers pipelines: looked through before they are read; written as they were, but for the denoiser.

What a newer library writes an older one cannot always read. So what unlearning leaves alone is copied file by file.
"""

import inspect
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

from expunge.errors import ExpungeError
from expunge.models.loading import LOADING
from expunge.models.unpickling import PICKLED

INDEX = "model_index.json"
UNUSED = ("safety_checker", "feature_extractor", "image_encoder")  # of no effect on what a text draws
OPTIONAL = ("text_encoder_3", "tokenizer_3")  # Stable Diffusion 3 draws without them, if less well
VOCABULARIES = ("vocab.json", "tokenizer.json", "spiece.model", "tokenizer.model")
COPIED = {".json", ".txt", ".model", ".jinja", ".safetensors"}
ADAPTERS = ("lora", "emb_params", "clip_l", "clip_g")  # in the names of tensors of adapters and textual inversions
HALF = ".fp16"


def components(folder: Path) -> dict[str, str]:
    """Names of a pipeline's parts, and of their classes; parts that are left out are not among them."""
    index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
    return {
        name: each[1] for name, each in index.items() if isinstance(each, list) and len(each) == 2 and each[1]
    }  # fmt: skip


def read_pipeline(pipeline: Any, folder: Path, denoiser: str) -> Any:
    """Read a folder, safetensors only, in float32; nothing is fetched from a network.

    Args:
        pipeline: its class.
        folder: the folder.
        denoiser: name of the part that unlearning changes.

    Raises:
        ExpungeError: weights or vocabulary are missing, or index and scheduler do not agree.
    """
    known = components(folder)
    wanted = [
        name
        for name, each in inspect.signature(pipeline.__init__).parameters.items()
        if each.default is inspect.Parameter.empty and name not in ("self", *UNUSED, *OPTIONAL)
    ]
    if missing := [name for name in wanted if name not in known]:
        raise ExpungeError(f"its {INDEX} names no {', '.join(missing)}, which a {pipeline.__name__} is made of")
    _look_through(folder, known)
    half = all(HALF in each.name for each in (folder / denoiser).glob("*.safetensors"))
    with LOADING:
        read = pipeline.from_pretrained(
            folder,
            use_safetensors=True,
            local_files_only=True,
            dtype=torch.float32,
            variant="fp16" if half else None,
            **{name: None for name in UNUSED if name in known},
        )
    config = json.loads((folder / "scheduler" / "scheduler_config.json").read_text(encoding="utf-8"))
    named, drawn_with = config.get("_class_name"), type(read.scheduler).__name__
    if named not in (None, drawn_with):
        raise ExpungeError(f"scheduler: {INDEX} says {drawn_with}, scheduler_config.json {named}; make them agree")
    return read


def _look_through(folder: Path, known: dict[str, str]) -> None:
    """Raise ``ExpungeError`` where a library would fetch, unpickle or make something up."""
    for name in known:
        if name in UNUSED:
            continue
        here = folder / name
        if name.startswith("tokenizer"):
            # Without any of them, transformers makes up an empty vocabulary and every prompt means the same.
            if not any((here / each).is_file() for each in VOCABULARIES):
                raise ExpungeError(f"it holds no {' or '.join(f'{name}/{each}' for each in VOCABULARIES[:2])}")
        elif name != "scheduler" and not list(here.glob("*.safetensors")):
            pickled = sorted(each.name for each in here.glob("*.*") if each.suffix in PICKLED)
            remedy = f"; `expunge convert` makes them of {pickled[0]} without running what it holds" if pickled else ""
            raise ExpungeError(f"it holds no {name}/*.safetensors; only safetensors weights are read{remedy}")


def write_pipeline(pipeline: Any, denoiser: str, origin: Path | None, folder: Path) -> None:
    """Write a pipeline's folder, safetensors only.

    Args:
        pipeline: the pipeline.
        denoiser: name of the part that is written anew.
        origin: the folder that the pipeline was read from, whose other parts are copied unchanged, with adapters and
            textual inversions that lie beside them; None for a pipeline that was made here, which is written whole.
        folder: where to; made if need be.

    Raises:
        ExpungeError: the origin is gone.
    """
    if origin is None:
        pipeline.save_pretrained(folder, safe_serialization=True)
        written = [folder / INDEX, *folder.glob("*/config.json")]
    else:
        if not (origin / INDEX).is_file():
            raise ExpungeError(f"model: the folder it was read from, {origin}, is gone; its other parts lie there")
        folder.mkdir(parents=True, exist_ok=True)
        for name in (INDEX, *(each.name for each in origin.glob("*.safetensors") if _is_adapter(each))):
            shutil.copyfile(origin / name, folder / name)
        for name in components(origin):
            if name != denoiser and (origin / name).is_dir():
                _copy_part(origin / name, folder / name)
        getattr(pipeline, denoiser).save_pretrained(folder / denoiser, safe_serialization=True)
        written = [folder / denoiser / "config.json"]
    for path in written:  # where a part was loaded from is nobody's business
        config = json.loads(path.read_text(encoding="utf-8"))
        if config.pop("_name_or_path", None) is not None:
            path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _is_adapter(file: Path) -> bool:
    """A checkpoint of the whole model is none: it would carry what was unlearned along."""
    with safe_open(str(file), "pt") as tensors:
        return all(any(sign in name.lower() for sign in ADAPTERS) for name in tensors.keys())  # noqa: SIM118


def _copy_part(origin: Path, folder: Path) -> None:
    """Weights in half precision lose that in their names where no others are there: all parts are read alike."""
    whole = any(HALF not in each.name for each in origin.glob("*.safetensors"))
    for file in _files(origin):
        place = folder / file.relative_to(origin)
        place.parent.mkdir(parents=True, exist_ok=True)
        if HALF not in file.name:
            shutil.copyfile(file, place)
        elif not whole:
            renamed = place.with_name(file.name.replace(HALF, ""))
            if file.suffix == ".json":  # names its shards
                renamed.write_text(file.read_text(encoding="utf-8").replace(HALF, ""), encoding="utf-8")
            else:
                shutil.copyfile(file, renamed)


def _files(folder: Path) -> Iterator[Path]:
    return (each for each in sorted(folder.rglob("*")) if each.is_file() and each.suffix in COPIED)
