"""Picture sets are stored as one parquet table: prompt, factors, seed, and the picture as PNG bytes."""

from typing import Any, ClassVar

import numpy as np
from zenml.enums import ArtifactType, VisualizationType
from zenml.materializers.base_materializer import BaseMaterializer

from expunge.pictures.picture_set import PictureSet
from expunge.pictures.picture_set_files import load_pictures, png, save_pictures
from expunge.reports.figures import grid_png
from materializers.folder import loaded_folder, saved_folder

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
            return load_pictures(folder)

    def save(self, data: PictureSet) -> None:
        """Write the set."""
        with saved_folder(self) as folder:
            save_pictures(data, folder)

    def save_visualizations(self, data: PictureSet) -> dict[str, VisualizationType]:
        """A world of up to 96 pictures, spread evenly over the set; none of an empty one."""
        if not len(data):
            return {}
        shown = data.select(np.linspace(0, len(data) - 1, min(96, len(data))).astype(int).tolist())
        path = f"{self.uri}/{SHEET}"
        with self.artifact_store.open(path, "wb") as file:
            file.write(png(np.asarray(grid_png(shown, columns=12))))
        return {path: VisualizationType.IMAGE}

    def extract_metadata(self, data: PictureSet) -> dict[str, Any]:
        """Count, size and digest."""
        return {"pictures": len(data), "shape": str(data.pictures.shape[1:]), "digest": data.digest()}

    def compute_content_hash(self, data: PictureSet) -> str:
        """SHA-256 over prompts, seeds and pixels."""
        return data.digest()
