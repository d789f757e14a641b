"""Every way to name a model, and the one place that finds, loads and tries it."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import fsspec
import torch
from botocore.exceptions import BotoCoreError

from expunge.errors import ExpungeError
from expunge.models.conditions import cast
from expunge.models.model_facts import ModelFacts
from expunge.models.own_folder import OwnFolder
from expunge.models.pipeline_folder import INDEX
from expunge.models.text_to_image import TextToImage
from expunge.plugins import load_plugin, plugin_names

REGISTERED = re.compile(r"models:/(?P<name>[^/@]+)(?:@(?P<alias>[^/@]+)|/(?P<version>\d+))")
SINGLE_FILE = re.compile(r"(?P<file>.+\.safetensors)(?:\?config=(?P<config>.+))?")
ADAPTED = re.compile(r"(?P<base>.+)\?adapter=(?P<file>.+)")
HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
CLASS_INDEX = "class_conditional.json"
REFUSED = {
    "StableDiffusionXLImg2ImgPipeline": "a refiner, which draws nothing from a text alone; give the base model, and "
    "draw with this one afterwards as before",
}
WAYS = (
    "a diffusers folder, FILE.safetensors?config=FOLDER, a hub id OWNER/NAME, s3://BUCKET/PREFIX, models:/NAME@ALIAS, "
    "models:/NAME/VERSION, a version number or alias of the registered model, or any of them and ?adapter=FILE"
)


def open_model(source: str | Path, field: str = "model") -> tuple[TextToImage, ModelFacts]:
    """Find, load and try a model.

    Args:
        source: a named model (``zoo``, ``digits``), or one of ``WAYS``. A single file is read with the configuration,
            vocabulary and scheduler of a diffusers folder of its kind; nothing of it is fetched.
        field: how errors call it.

    Raises:
        ExpungeError: it is not there, of no known family, not in safetensors, or cannot be drawn with.
    """
    text = str(source)
    try:
        model, version = _found(text)
        _try(model, text)
    except ExpungeError as error:
        raise ExpungeError(f"{field}: {error}") from error
    return model, ModelFacts(source=text, version=version, digest=model.digest(), sampler=model.sampling())


def load_text_to_image(source: str | Path, field: str = "base_model") -> TextToImage:
    """As ``open_model``, without the facts."""
    return open_model(source, field)[0]


def read_folder(given: Path | OwnFolder, name: str = "") -> TextToImage:
    """Read a model's folder with its family's adapter. It is not tried.

    Args:
        given: holds ``model_index.json`` or ``class_conditional.json``; the model holds on to a folder of its own.
        name: how errors call it; the folder's path if empty.

    Raises:
        ExpungeError: it holds no model, one of no known family, or a broken one.
    """
    folder = given.path if isinstance(given, OwnFolder) else given
    name = name or str(folder)
    if not any((folder / index).is_file() for index in (INDEX, CLASS_INDEX)):
        raise ExpungeError(f"'{name}' holds no {INDEX}, so it is not a diffusers folder.")
    with _said_in_one_line(f"'{name}' cannot be loaded"):
        model = family_of(folder).load(folder)
    model.lasting = given
    return model


def _found(text: str) -> tuple[TextToImage, str]:
    """The model, and the registered version it is, if any."""
    if matched := ADAPTED.fullmatch(text):
        return _found(matched["base"])[0].adapted(_adapter(matched["file"])), ""
    if text in plugin_names("models"):
        return read_folder(load_plugin("models", text)(), text), ""
    if text.startswith("s3://"):
        return _from_s3(text), ""
    if matched := REGISTERED.fullmatch(text):
        return _registered(matched["name"], matched["alias"] or matched["version"], text)
    if text.startswith("models:"):
        raise ExpungeError(f"'{text}' given; write models:/NAME@ALIAS or models:/NAME/VERSION.")
    if Path(text).is_dir():
        return read_folder(Path(text)), ""
    if (matched := SINGLE_FILE.fullmatch(text)) and Path(matched["file"]).is_file():
        return _from_file(Path(matched["file"]), matched["config"]), ""
    if HUB_ID.fullmatch(text) and not text.startswith("."):
        return _from_hub(text), ""
    named = " or ".join(f"'{each}'" for each in plugin_names("models"))
    if "/" in text or not text:
        raise ExpungeError(f"'{text}' is not there. Give {named}, {WAYS}.")
    try:
        return _registered("", text, text)
    except ExpungeError as error:
        raise ExpungeError(f"'{text}' is not there: {str(error).rstrip('.')}. Give {named}, {WAYS}.") from error


def _adapter(name: str) -> Path:
    if not Path(name).is_file():
        raise ExpungeError(f"adapter: '{name}' is not there; give a safetensors file.")
    return Path(name)


def folder_of(source: str) -> Path:
    """Where the files of a named model or of a diffusers folder are.

    Raises:
        ExpungeError: it is neither.
    """
    folder = load_plugin("models", source)() if source in plugin_names("models") else Path(source)
    if not (folder / INDEX).is_file():
        raise ExpungeError(f"model: '{source}' is no diffusers folder on this disk; give one")
    return folder


def family_of(folder: Path) -> type[TextToImage]:
    """The family of a model's folder.

    Raises:
        ExpungeError: it is none that is known.
    """
    if (folder / CLASS_INDEX).is_file():
        name = "ClassConditional"
    else:
        name = json.loads((folder / INDEX).read_text(encoding="utf-8"))["_class_name"]
    known = plugin_names("families")
    if name in REFUSED:
        raise ExpungeError(f"it is {REFUSED[name]}")
    if name not in known:
        raise ExpungeError(
            f"it is of the family {name}; known are {', '.join(known)}. A package adds one as an entry point in the "
            "group expunge.families"
        )
    return load_plugin("families", name)


def _registered(name: str, version: str, text: str) -> tuple[TextToImage, str]:
    folder, version = load_plugin("model_sources", "registered")(name, version)
    return read_folder(folder, text), version


def _from_file(file: Path, config: str | None) -> TextToImage:
    if config is None or not (Path(config) / INDEX).is_file():
        raise ExpungeError(
            f"'{file}' is a single file{f', and {config} is no diffusers folder' if config else ''}; say which folder "
            f"has the configuration, vocabulary and scheduler of its kind: {file}?config=FOLDER"
        )
    with _said_in_one_line(f"'{file}' cannot be loaded with the configuration of '{config}'"):
        return family_of(Path(config)).load_file(file, Path(config))


def _from_s3(url: str) -> TextToImage:
    folder = OwnFolder()
    try:
        # A fresh one: fsspec would keep credentials, endpoint and listings of earlier calls.
        files = fsspec.filesystem("s3", skip_instance_cache=True)
        if not any(files.exists(f"{url.rstrip('/')}/{name}") for name in (INDEX, CLASS_INDEX)):
            raise ExpungeError(f"'{url}' holds no {INDEX}, so it is not a diffusers folder.")
        files.get(url.rstrip("/") + "/", f"{folder.path}/", recursive=True)
    except (OSError, ValueError, BotoCoreError) as error:
        raise ExpungeError(f"'{url}' cannot be read: {_first_line(error)}") from error
    return read_folder(folder, url)


def _from_hub(hub_id: str) -> TextToImage:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError

    patterns = ["*.json", "*.txt", *(f"*/*.{end}" for end in ("json", "txt", "model", "jinja", "safetensors"))]
    try:
        folder = snapshot_download(hub_id, allow_patterns=patterns)
    except (OSError, ValueError, HfHubHTTPError) as error:
        raise ExpungeError(f"hub id '{hub_id}' cannot be fetched: {_first_line(error)}") from error
    return read_folder(Path(folder), hub_id)


def _try(model: TextToImage, name: str) -> None:
    """Draw one picture of the smallest size in two steps, encode it, and ask the denoiser about it, as every run will.

    It costs three passes of the denoiser and one each of encoder and decoder.
    """
    with _said_in_one_line(f"'{name}' cannot be drawn with"):
        size = model.at_size(model.smallest_size).size
        picture = model.draw([""], [0], steps=2, guidance=1.0)
        latents, level = model.encode_pictures(picture), torch.tensor([model.levels // 2])
        conditions = cast(model.encode_texts([""]), model.device, model.dtype)
        with torch.no_grad():
            predicted = model.predict(model.denoiser, latents.to(model.device, model.dtype), level, conditions)
        if picture.shape[1:3] != (size, size) or predicted.shape != latents.shape:
            raise ExpungeError(
                f"it draws {picture.shape[1:3]} pixels of {size}, and predicts {tuple(predicted.shape)} for "
                f"{tuple(latents.shape)}"
            )
        model.at_size(None)


@contextmanager
def _said_in_one_line(what: str) -> Iterator[None]:
    """Whatever a foreign model raises becomes one line that names the model."""
    try:
        yield
    except Exception as error:
        raise ExpungeError(f"{what}: {_first_line(error).removeprefix('model: ')}") from error


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:400]
