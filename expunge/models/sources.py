"""Where a base model comes from: the zoo, a folder, the hub, or an object store."""

import re
import tempfile
from pathlib import Path

import fsspec

from expunge.errors import ExpungeError
from expunge.models.stable_diffusion import StableDiffusion

ZOO_MODEL = Path(__file__).parent.parent / "zoo" / "weights" / "emoji"
HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


def load_text_to_image(source: str | Path) -> StableDiffusion:
    """Load a model of the Stable Diffusion family.

    Args:
        source: ``zoo`` (the embedded emoji model), a folder, ``s3://BUCKET/PREFIX``, or a hub id ``OWNER/NAME``.

    Raises:
        ExpungeError: it is not there, not a diffusers folder, or not in safetensors.
    """
    text = str(source)
    if text == "zoo":
        return _load_folder(ZOO_MODEL, text)
    if text.startswith("s3://"):
        return _load_remote(text)
    if Path(text).exists():
        return _load_folder(Path(text), text)
    if HUB_ID.fullmatch(text) and not text.startswith("."):
        return _load_hub(text)
    raise ExpungeError(
        f"base_model: '{text}' is not there. Give 'zoo', a diffusers folder, an s3:// URL or a hub id OWNER/NAME."
    )


def _load_folder(folder: Path, source: str) -> StableDiffusion:
    if not (folder / "model_index.json").is_file():
        raise ExpungeError(f"base_model: '{source}' holds no model_index.json, so it is not a diffusers folder.")
    if not list(folder.glob("unet/*.safetensors")):
        raise ExpungeError(f"base_model: '{source}' holds no unet/*.safetensors. Only safetensors weights are read.")
    try:
        return StableDiffusion.load(folder)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise ExpungeError(f"base_model: '{source}' cannot be loaded: {_first_line(error)}") from error


def _load_remote(url: str) -> StableDiffusion:
    with tempfile.TemporaryDirectory() as folder:
        try:
            files = fsspec.filesystem("s3")
            if not files.exists(url.rstrip("/") + "/model_index.json"):
                raise ExpungeError(f"base_model: '{url}' holds no model_index.json, so it is not a diffusers folder.")
            files.get(url.rstrip("/") + "/", folder + "/", recursive=True)
        except OSError as error:
            raise ExpungeError(f"base_model: '{url}' cannot be read: {_first_line(error)}") from error
        return _load_folder(Path(folder), url)


def _load_hub(hub_id: str) -> StableDiffusion:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError

    patterns = ["*.json", "*.txt", "*/*.json", "*/*.txt", "*/*.safetensors"]
    try:
        folder = snapshot_download(hub_id, allow_patterns=patterns)
    except (OSError, HfHubHTTPError) as error:
        raise ExpungeError(f"base_model: hub id '{hub_id}' cannot be fetched: {_first_line(error)}") from error
    return _load_folder(Path(folder), hub_id)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
