"""Pictures on disk, one safetensors file a shard, so that no picture is drawn twice.

A file's name is the hash of everything that the pictures depend on: weights, sampler, prompts, seeds and drawing
settings. The same evaluation again finds all of them, another target on the same models finds the world's.
"""

import hashlib
import json
import os
import tempfile
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from expunge.errors import ExpungeError
from expunge.evaluation.plan import Shard
from expunge.models.text_to_image import TextToImage
from expunge.pictures.drawing import DrawingSettings, draw_prompts
from expunge.pictures.picture_set import PictureSet

FORMAT_VERSION = 1
PICTURES = Path(".expunge/evaluations/pictures")


def shard_key(model_digest: str, sampler: str, shard: Shard, drawing: DrawingSettings) -> str:
    """SHA-256 of everything that a shard's pictures depend on."""
    facts = {
        "format_version": FORMAT_VERSION,
        "model": model_digest,
        "sampler": sampler,
        "texts": [prompt.text for prompt in shard.prompts],
        "seeds": shard.seeds,
        "drawing": drawing.model_dump(),
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


class PictureStore:
    """A folder of drawn shards.

    Args:
        folder: made if need be.

    Raises:
        ExpungeError: it cannot be made.
    """

    def __init__(self, folder: Path = PICTURES) -> None:
        self.folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ExpungeError(f"pictures: the folder {folder} cannot be made: {error.strerror}") from error

    def pictures(self, model: TextToImage, digest: str, shard: Shard, drawing: DrawingSettings) -> PictureSet:
        """A shard's pictures by that model: from disk, else drawn and kept.

        Args:
            digest: of the model's weights.

        Raises:
            ExpungeError: they cannot be written.
        """
        if (known := self.find(digest, model.sampling(), shard, drawing)) is not None:
            return known
        drawn = draw_prompts(model, shard.prompts, shard.seeds, drawing)
        self._keep(shard_key(digest, model.sampling(), shard, drawing), drawn.pictures)
        return drawn

    def find(self, digest: str, sampler: str, shard: Shard, drawing: DrawingSettings) -> PictureSet | None:
        """A shard's pictures as they were drawn before; None if they never were, or if the file is damaged."""
        key = shard_key(digest, sampler, shard, drawing)
        try:
            with safe_open(self._path(key), "numpy") as file:
                if (file.metadata() or {}).get("key") != key:
                    return None
                return PictureSet(shard.prompts, shard.seeds, file.get_tensor("pictures"))
        except (OSError, ValueError, SafetensorError):
            return None

    def _keep(self, key: str, pictures: np.ndarray) -> None:
        """Under another name first, then renamed: a file is there whole or not at all."""
        try:
            with tempfile.TemporaryDirectory(prefix="partial-", dir=self.folder) as folder:
                partial = Path(folder) / "pictures.safetensors"
                save_file({"pictures": np.ascontiguousarray(pictures)}, partial, {"key": key})
                os.replace(partial, self._path(key))
        except (OSError, SafetensorError) as error:
            raise ExpungeError(f"pictures: {self.folder} cannot be written: {error}. Make room or rights.") from error

    def _path(self, key: str) -> Path:
        return self.folder / f"{key[:32]}.safetensors"
