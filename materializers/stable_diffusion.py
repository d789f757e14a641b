"""Models are stored as stock diffusers folders, safetensors only."""

from typing import Any, ClassVar

from zenml.enums import ArtifactType
from zenml.materializers.base_materializer import BaseMaterializer

from expunge.models.stable_diffusion import StableDiffusion
from materializers.folder import loaded_folder, saved_folder


class StableDiffusionMaterializer(BaseMaterializer):
    """``StableDiffusion`` as the folder that ``StableDiffusionPipeline.from_pretrained`` reads."""

    ASSOCIATED_TYPES: ClassVar = (StableDiffusion,)
    ASSOCIATED_ARTIFACT_TYPE: ClassVar = ArtifactType.MODEL

    def load(self, data_type: type[Any]) -> StableDiffusion:
        """Read the model."""
        with loaded_folder(self) as folder:
            return StableDiffusion.load(folder)

    def save(self, data: StableDiffusion) -> None:
        """Write the model."""
        with saved_folder(self) as folder:
            data.save(folder)

    def extract_metadata(self, data: StableDiffusion) -> dict[str, Any]:
        """Digest and size."""
        parameters = sum(each.numel() for each in data.unet.parameters())
        return {"digest": data.digest(), "unet_parameters": parameters}

    def compute_content_hash(self, data: StableDiffusion) -> str:
        """The model's digest: equal weights are the same input to any later step."""
        return data.digest()
