"""How MLflow draws with a registered model: MLflow stores this file beside the weights and runs it.

It is kept as source ("models from code"), so nothing is pickled, and it imports nothing of Expunge: a version
loads wherever mlflow, torch, diffusers and transformers are installed. MLflow asks such a file to hand over
its model with ``set_model``, hence the import of mlflow.

    pictures = mlflow.pyfunc.load_model("models:/expunge-zoo@champion").predict(["a cat in noto style"])
"""

import io
from typing import Any

import pandas as pd
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel

BATCH = 16


class PictureModel(PythonModel):
    """Prompts in, PNG files out."""

    def load_context(self, context: Any) -> None:
        """Load the diffusers folder that the version holds; safetensors only."""
        # Imported here because MLflow also runs this file when it only stores it.
        import torch
        from diffusers import DiffusionPipeline

        self.pipeline = DiffusionPipeline.from_pretrained(
            context.artifacts["pipeline"], use_safetensors=True, local_files_only=True
        ).to("cuda" if torch.cuda.is_available() else "cpu")
        self.pipeline.set_progress_bar_config(disable=True)

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> list[bytes]:
        """Draw one picture per prompt.

        Args:
            model_input: the first column holds the prompts; a plain list of strings does as well.
            params: ``seed`` (picture i starts from noise seeded ``seed + i``, whatever the batch), ``steps``
                and ``guidance``; the signature has their defaults.

        Returns:
            One PNG file per prompt, in order.
        """
        import torch

        options = params or {}
        prompts = [str(prompt) for prompt in model_input.iloc[:, 0]]
        files = []
        for start in range(0, len(prompts), BATCH):
            batch = prompts[start : start + BATCH]
            seeds = range(options["seed"] + start, options["seed"] + start + len(batch))
            drawn = self.pipeline(
                batch,
                num_inference_steps=options["steps"],
                guidance_scale=options["guidance"],
                generator=[torch.Generator("cpu").manual_seed(seed) for seed in seeds],
            )
            for picture in drawn.images:
                file = io.BytesIO()
                picture.save(file, format="PNG")
                files.append(file.getvalue())
        return files


set_model(PictureModel())
