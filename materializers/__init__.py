"""How artifacts are stored: safetensors, parquet, PNG, JSON; never pickle. ``steps`` imports them for ZenML."""

import materializers.integrations  # noqa: F401
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
