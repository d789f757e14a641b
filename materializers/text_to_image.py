"""Models are stored as the folders that they are loaded from anywhere, safetensors only."""

from typing import Any, ClassVar

from zenml.enums import ArtifactType
from zenml.materializers.base_materializer import BaseMaterializer

from expunge.models.own_folder import OwnFolder
from expunge.models.resolver import read_folder
from expunge.models.text_to_image import TextToImage
from materializers.folder import load_into, saved_folder


class TextToImageMaterializer(BaseMaterializer):
    """A model of any family as its folder: of Stable Diffusion, what stock diffusers reads."""

    ASSOCIATED_TYPES: ClassVar = (TextToImage,)
    ASSOCIATED_ARTIFACT_TYPE: ClassVar = ArtifactType.MODEL

    def load(self, data_type: type[Any]) -> TextToImage:
        """Read the model; the folder says of which family. Its other parts are copied from there when it is saved."""
        folder = OwnFolder()
        load_into(self, folder.path)
        return read_folder(folder)

    def save(self, data: TextToImage) -> None:
        """Write the model."""
        with saved_folder(self) as folder:
            data.save(folder)

    def extract_metadata(self, data: TextToImage) -> dict[str, Any]:
        """Digest and size."""
        parameters = sum(each.numel() for each in data.denoiser.parameters())
        return {"digest": data.digest(), "denoiser_parameters": parameters}

    def compute_content_hash(self, data: TextToImage) -> str:
        """The model's digest: equal models are the same input to any later step."""
        return data.digest()
