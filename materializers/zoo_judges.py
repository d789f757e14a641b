"""Freshly trained zoo judges are stored as the folder that ships."""

from typing import Any, ClassVar

from transformers import CLIPTokenizer
from zenml.enums import ArtifactType
from zenml.materializers.base_materializer import BaseMaterializer

from expunge.zoo.classifiers import FactorClassifier
from expunge.zoo.clip import load_clip
from expunge.zoo.zoo_panel import ZooJudges
from materializers.folder import loaded_folder, saved_folder


class ZooJudgesMaterializer(BaseMaterializer):
    """``ZooJudges`` as ``classifiers/`` and ``clip/``."""

    ASSOCIATED_TYPES: ClassVar = (ZooJudges,)
    ASSOCIATED_ARTIFACT_TYPE: ClassVar = ArtifactType.MODEL

    def load(self, data_type: type[Any]) -> ZooJudges:
        """Read the judges."""
        with loaded_folder(self) as folder:
            classifiers = {
                factor: FactorClassifier.load(folder / "classifiers", factor) for factor in ("subject", "style")
            }
            tokenizer = CLIPTokenizer.from_pretrained(folder / "clip")
            return ZooJudges(classifiers, load_clip(folder / "clip"), tokenizer)

    def save(self, data: ZooJudges) -> None:
        """Write the judges."""
        with saved_folder(self) as folder:
            data.save(folder)
