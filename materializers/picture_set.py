"""Picture sets are stored as one parquet table: prompt, factors, seed, and the picture as PNG bytes."""

import io
import json
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from PIL import Image
from zenml.enums import ArtifactType, VisualizationType
from zenml.materializers.base_materializer import BaseMaterializer

from expunge.pictures.picture_set import PictureSet
from expunge.prompts.world import Prompt
from expunge.reports.figures import grid_png
from materializers.folder import loaded_folder, saved_folder

FORMAT_VERSION = 1
SHEET = "grid.png"


class PictureSetMaterializer(BaseMaterializer):
    """``PictureSet`` as ``pictures.parquet`` and ``format.json``."""

    ASSOCIATED_TYPES: ClassVar = (PictureSet,)
    ASSOCIATED_ARTIFACT_TYPE: ClassVar = ArtifactType.DATA

    def load(self, data_type: type[Any]) -> PictureSet:
        """Read the set.

        Raises:
            ValueError: an unknown format version, or fewer pictures than were written.
        """
        with loaded_folder(self) as folder:
            facts = json.loads((folder / "format.json").read_text(encoding="utf-8"))
            if facts["format_version"] != FORMAT_VERSION:
                raise ValueError(f"picture set format {facts['format_version']}: this version reads {FORMAT_VERSION}")
            table = pd.read_parquet(folder / "pictures.parquet")
        if len(table) != facts["count"]:
            raise ValueError(f"picture set holds {len(table)} pictures, {facts['count']} were written")
        decoded = [np.asarray(Image.open(io.BytesIO(png))) for png in table["png"]]
        pictures = np.stack(decoded) if decoded else np.zeros(facts["shape"], np.uint8)
        prompts = tuple(Prompt.model_validate_json(prompt) for prompt in table["prompt"])
        return PictureSet(prompts, tuple(int(seed) for seed in table["seed"]), pictures)

    def save(self, data: PictureSet) -> None:
        """Write the set."""
        rows = {
            "text": [prompt.text for prompt in data.prompts],
            "prompt": [prompt.model_dump_json() for prompt in data.prompts],
            "seed": list(data.seeds),
            "png": [_png(picture) for picture in data.pictures],
        }
        facts = {"format_version": FORMAT_VERSION, "count": len(data), "shape": data.pictures.shape}
        with saved_folder(self) as folder:
            pd.DataFrame(rows).to_parquet(folder / "pictures.parquet")
            (folder / "format.json").write_text(json.dumps(facts), encoding="utf-8")

    def save_visualizations(self, data: PictureSet) -> dict[str, VisualizationType]:
        """A world of up to 96 pictures, spread evenly over the set; none of an empty one."""
        if not len(data):
            return {}
        shown = data.select(np.linspace(0, len(data) - 1, min(96, len(data))).astype(int).tolist())
        path = f"{self.uri}/{SHEET}"
        with self.artifact_store.open(path, "wb") as file:
            file.write(_png(np.asarray(grid_png(shown, columns=12))))
        return {path: VisualizationType.IMAGE}

    def extract_metadata(self, data: PictureSet) -> dict[str, Any]:
        """Count, size and digest."""
        return {"pictures": len(data), "shape": str(data.pictures.shape[1:]), "digest": data.digest()}

    def compute_content_hash(self, data: PictureSet) -> str:
        """SHA-256 over prompts, seeds and pixels."""
        return data.digest()


def _png(picture: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, format="PNG")
    return buffer.getvalue()
