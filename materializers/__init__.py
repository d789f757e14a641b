"""How artifacts are stored: safetensors, parquet, PNG, JSON; never pickle. Steps import them for ZenML."""

import zenml.integrations.pandas.materializers  # noqa: F401  its own for tables, which steps.integrations leaves to us

from materializers.gradient_cache import GradientCacheMaterializer
from materializers.judged_pictures import JudgedPicturesMaterializer
from materializers.picture_set import PictureSetMaterializer
from materializers.text_to_image import TextToImageMaterializer
from materializers.zoo_judges import ZooJudgesMaterializer

__all__ = [
    "GradientCacheMaterializer",
    "JudgedPicturesMaterializer",
    "PictureSetMaterializer",
    "TextToImageMaterializer",
    "ZooJudgesMaterializer",
]
