"""Where a base model comes from: the zoo, the digits, a folder, the hub, or an object store."""

import re
import tempfile
from pathlib import Path

import fsspec
from botocore.exceptions import BotoCoreError
from safetensors import SafetensorError

from expunge.errors import ExpungeError
from expunge.models.class_conditional import INDEX, ClassConditional
from expunge.models.stable_diffusion import StableDiffusion
from expunge.plugins import load_plugin, plugin_names

HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
# What diffusers and transformers raise on folders that are not whole or not of the right kind.
LOAD_ERRORS = (OSError, ValueError, TypeError, LookupError, AttributeError, ImportError, RuntimeError, SafetensorError)


def load_text_to_image(source: str | Path) -> StableDiffusion | ClassConditional:
    """Load a model of the Stable Diffusion family, or a class-conditional one.

    Args:
        source: ``zoo`` (the embedded emoji model), ``digits`` (a class-conditional model, trained on first use), a
            folder, ``s3://BUCKET/PREFIX``, or a hub id ``OWNER/NAME``.

    Raises:
        ExpungeError: it is not there, not a diffusers folder, or not in safetensors.
    """
    text = str(source)
    if text in plugin_names("models"):
        return _load_folder(load_plugin("models", text)(), text)
    if text.startswith("s3://"):
        return _load_remote(text)
    if Path(text).exists():
        return _load_folder(Path(text), text)
    if HUB_ID.fullmatch(text) and not text.startswith("."):
        return _load_hub(text)
    raise ExpungeError(
        f"base_model: '{text}' is not there. "
        "Give 'zoo', 'digits', a diffusers folder, an s3:// URL or a hub id OWNER/NAME."
    )


def load_stable_diffusion(source: str | Path) -> StableDiffusion:
    """As ``load_text_to_image``, for what works on sentences.

    Raises:
        ExpungeError: as there, or the model draws classes.
    """
    model = load_text_to_image(source)
    if isinstance(model, ClassConditional):
        raise ExpungeError(
            f"base_model: '{source}' draws classes, not sentences; benchmark_pipeline takes it. Here, give 'zoo' or "
            "another model of the Stable Diffusion family."
        )
    return model


def _load_folder(folder: Path, source: str) -> StableDiffusion | ClassConditional:
    of_classes = (folder / INDEX).is_file()
    if not of_classes and not (folder / "model_index.json").is_file():
        raise ExpungeError(f"base_model: '{source}' holds no model_index.json, so it is not a diffusers folder.")
    if not list(folder.glob("unet/*.safetensors")):
        raise ExpungeError(f"base_model: '{source}' holds no unet/*.safetensors. Only safetensors weights are read.")
    if not of_classes and not any((folder / "tokenizer" / name).is_file() for name in ("vocab.json", "tokenizer.json")):
        # Without them, transformers makes up an empty vocabulary and every prompt means the same.
        raise ExpungeError(f"base_model: '{source}' holds no tokenizer/vocab.json or tokenizer/tokenizer.json.")
    try:
        return (ClassConditional if of_classes else StableDiffusion).load(folder)
    except LOAD_ERRORS as error:
        raise ExpungeError(f"base_model: '{source}' cannot be loaded: {_first_line(error)}") from error


def _load_remote(url: str) -> StableDiffusion | ClassConditional:
    with tempfile.TemporaryDirectory() as folder:
        try:
            # A fresh one: fsspec would keep credentials, endpoint and listings of earlier calls.
            files = fsspec.filesystem("s3", skip_instance_cache=True)
            if not any(files.exists(f"{url.rstrip('/')}/{name}") for name in ("model_index.json", INDEX)):
                raise ExpungeError(f"base_model: '{url}' holds no model_index.json, so it is not a diffusers folder.")
            files.get(url.rstrip("/") + "/", folder + "/", recursive=True)
        except (OSError, ValueError, BotoCoreError) as error:
            raise ExpungeError(f"base_model: '{url}' cannot be read: {_first_line(error)}") from error
        return _load_folder(Path(folder), url)


def _load_hub(hub_id: str) -> StableDiffusion | ClassConditional:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError

    patterns = ["*.json", "*.txt", "*/*.json", "*/*.txt", "*/*.safetensors"]
    try:
        folder = snapshot_download(hub_id, allow_patterns=patterns)
    except (OSError, ValueError, HfHubHTTPError) as error:
        raise ExpungeError(f"base_model: hub id '{hub_id}' cannot be fetched: {_first_line(error)}") from error
    return _load_folder(Path(folder), hub_id)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
