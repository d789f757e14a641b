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
            params: ``seed`` (picture i starts from noise seeded ``seed + i``, whatever the batch), ``steps``,
                ``guidance`` and ``size`` in pixels (0: the model's own); the signature has their defaults.

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
                **self._asked(batch, options["guidance"], options.get("size", 0)),
                num_inference_steps=options["steps"],
                generator=[torch.Generator("cpu").manual_seed(seed) for seed in seeds],
            )
            for picture in drawn.images:
                file = io.BytesIO()
                picture.save(file, format="PNG")
                files.append(file.getvalue())
        return files

    def _asked(self, prompts: list[str], guidance: float, size: int) -> dict[str, Any]:
        """Prompts, guidance and size as the pipeline calls them: guidance of 1 is none, whatever the family."""
        family = type(self.pipeline).__name__
        if family == "DiTPipeline":  # draws one size
            return {"class_labels": self.pipeline.get_label_ids(prompts), "guidance_scale": guidance}
        sides = {"height": size, "width": size} if size else {}
        if family in ("PixArtAlphaPipeline", "PixArtSigmaPipeline", "SanaPipeline"):
            sides["use_resolution_binning"] = not size  # else the nearest size that they were trained on
        if family == "QwenImagePipeline":
            return {"prompt": prompts, "negative_prompt": [""] * len(prompts), "true_cfg_scale": guidance, **sides}
        return {"prompt": prompts, "guidance_scale": guidance - 1 if family == "ZImagePipeline" else guidance, **sides}


set_model(PictureModel())
