"""How artifacts are stored: safetensors, parquet, PNG, JSON; never pickle. Imported by ``steps`` to be known to ZenML."""

from materializers.gradient_cache import GradientCacheMaterializer
from materializers.picture_set import PictureSetMaterializer
from materializers.stable_diffusion import StableDiffusionMaterializer

__all__ = ["GradientCacheMaterializer", "PictureSetMaterializer", "StableDiffusionMaterializer"]
