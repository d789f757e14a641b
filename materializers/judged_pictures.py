"""Judged pictures are stored as one parquet table: prompt, seed, verdicts and features of each picture."""

import hashlib
from typing import Any, ClassVar

import pandas as pd
from zenml.enums import ArtifactType
from zenml.materializers.base_materializer import BaseMaterializer

from expunge.judges.judged import JudgedPictures
from materializers.folder import loaded_folder, saved_folder


class JudgedPicturesMaterializer(BaseMaterializer):
    """``JudgedPictures`` as ``judged.parquet``."""

    ASSOCIATED_TYPES: ClassVar = (JudgedPictures,)
    ASSOCIATED_ARTIFACT_TYPE: ClassVar = ArtifactType.DATA

    def load(self, data_type: type[Any]) -> JudgedPictures:
        """Read the table."""
        with loaded_folder(self) as folder:
            return JudgedPictures.from_frame(pd.read_parquet(folder / "judged.parquet"))

    def save(self, data: JudgedPictures) -> None:
        """Write the table."""
        with saved_folder(self) as folder:
            data.to_frame().to_parquet(folder / "judged.parquet")

    def extract_metadata(self, data: JudgedPictures) -> dict[str, Any]:
        """How many pictures, and who looked at them."""
        return {"pictures": len(data), "classifiers": ", ".join(data.recognised), "features": data.features.shape[1]}

    def compute_content_hash(self, data: JudgedPictures) -> str:
        """SHA-256 over all rows."""
        return hashlib.sha256(data.to_frame().to_csv(index=False).encode()).hexdigest()
