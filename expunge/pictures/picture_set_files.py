"""Picture sets in a folder: one parquet table of prompt, seed and the picture as PNG bytes."""

import io
import json
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from expunge.pictures.picture_set import PictureSet
from expunge.prompts.world import Prompt

FORMAT_VERSION = 1


def save_pictures(pictures: PictureSet, folder: Path) -> None:
    """Write ``pictures.parquet`` and ``format.json`` into a folder, made if need be."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = {
        "text": [prompt.text for prompt in pictures.prompts],
        "prompt": [prompt.model_dump_json() for prompt in pictures.prompts],
        "seed": list(pictures.seeds),
        "png": [png(each) for each in pictures.pictures],
    }
    pd.DataFrame(rows).to_parquet(folder / "pictures.parquet")
    facts = {"format_version": FORMAT_VERSION, "count": len(pictures), "shape": pictures.pictures.shape}
    (folder / "format.json").write_text(json.dumps(facts), encoding="utf-8")


def load_pictures(folder: Path) -> PictureSet:
    """Read what `save_pictures` wrote.

    Raises:
        ValueError: an unknown format version, or fewer pictures than were written.
    """
    facts = json.loads((folder / "format.json").read_text(encoding="utf-8"))
    if facts["format_version"] != FORMAT_VERSION:
        raise ValueError(f"picture set format {facts['format_version']}: this version reads {FORMAT_VERSION}")
    table = pd.read_parquet(folder / "pictures.parquet")
    if len(table) != facts["count"]:
        raise ValueError(f"picture set holds {len(table)} pictures, {facts['count']} were written")
    decoded = [np.asarray(Image.open(io.BytesIO(each))) for each in table["png"]]
    pictures = np.stack(decoded) if decoded else np.zeros(facts["shape"], np.uint8)
    prompts = tuple(Prompt.model_validate_json(prompt) for prompt in table["prompt"])
    return PictureSet(prompts, tuple(int(seed) for seed in table["seed"]), pictures)


def png(picture: np.ndarray) -> bytes:
    """A picture, uint8 ``(h, w, 3)``, as the bytes of a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, format="PNG")
    return buffer.getvalue()
