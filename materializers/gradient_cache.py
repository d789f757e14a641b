"""Gradient caches are stored as safetensors, with their key and losses beside them."""

from typing import Any, ClassVar

from zenml.enums import ArtifactType, VisualizationType
from zenml.materializers.base_materializer import BaseMaterializer

from expunge.reports.plots import conflict_chart
from expunge.unlearning.gradient_cache import GradientCache
from materializers.folder import loaded_folder, saved_folder


class GradientCacheMaterializer(BaseMaterializer):
    """``GradientCache`` in the format of its own ``save`` and ``load``."""

    ASSOCIATED_TYPES: ClassVar = (GradientCache,)
    ASSOCIATED_ARTIFACT_TYPE: ClassVar = ArtifactType.DATA

    def load(self, data_type: type[Any]) -> GradientCache:
        """Read the cache."""
        with loaded_folder(self) as folder:
            return GradientCache.load(folder)

    def save(self, data: GradientCache) -> None:
        """Write the cache."""
        with saved_folder(self) as folder:
            data.save(folder)

    def save_visualizations(self, data: GradientCache) -> dict[str, VisualizationType]:
        """The conflict map by layer."""
        chart = conflict_chart(data.conflict_map())
        if chart is None:
            return {}
        path = f"{self.uri}/conflict.html"
        with self.artifact_store.open(path, "wb") as file:
            file.write(str(chart).encode())
        return {path: VisualizationType.HTML}

    def extract_metadata(self, data: GradientCache) -> dict[str, Any]:
        """Key, losses and the cosine between the two gradients."""
        return {
            "key": data.key,
            "forget_loss": data.forget_loss,
            "retain_loss": data.retain_loss,
            "cosine": data.cosine,
        }

    def compute_content_hash(self, data: GradientCache) -> str:
        """The cache's key: base model, data, objective and seeds."""
        return data.key
