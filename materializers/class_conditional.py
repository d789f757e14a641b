"""Class-conditional models are stored as their own folders, safetensors only."""

from typing import Any, ClassVar

from expunge.models.class_conditional import ClassConditional
from materializers.folder import loaded_folder
from materializers.stable_diffusion import StableDiffusionMaterializer


class ClassConditionalMaterializer(StableDiffusionMaterializer):
    """``ClassConditional`` as the folder that its own ``load`` reads."""

    ASSOCIATED_TYPES: ClassVar = (ClassConditional,)

    def load(self, data_type: type[Any]) -> Any:
        """Read the model."""
        with loaded_folder(self) as folder:
            return ClassConditional.load(folder)
