"""How artifacts are stored: safetensors, parquet, PNG, JSON; never pickle. ``steps`` imports them for ZenML."""

import materializers.integrations  # noqa: F401
from materializers.class_conditional import ClassConditionalMaterializer
from materializers.gradient_cache import GradientCacheMaterializer
from materializers.judged_pictures import JudgedPicturesMaterializer
from materializers.picture_set import PictureSetMaterializer
from materializers.stable_diffusion import StableDiffusionMaterializer
from materializers.zoo_judges import ZooJudgesMaterializer

__all__ = [
    "ClassConditionalMaterializer",
    "GradientCacheMaterializer",
    "JudgedPicturesMaterializer",
    "PictureSetMaterializer",
    "StableDiffusionMaterializer",
    "ZooJudgesMaterializer",
]
