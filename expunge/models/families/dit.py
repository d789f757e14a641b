"""DiT (Peebles & Xie, ICCV 2023, arXiv 2212.09748): a transformer that draws classes in latents."""

from collections.abc import Sequence

import numpy as np
import torch
from diffusers import DiTPipeline
from torch import Tensor, nn

from expunge.errors import UnsupportedError
from expunge.models.conditions import Conditions
from expunge.models.diffusion import DiffusionModel

LABELS = "class_labels"  # int64 ``(n,)``


class DiT(DiffusionModel):
    """A prompt is the name of a class, as the pipeline's ``id2label`` has it. It draws one size."""

    PIPELINE = DiTPipeline

    @property
    def native_size(self) -> int:
        """Side of its pictures, in pixels."""
        return self._config.sample_size * self._scale

    @property
    def smallest_size(self) -> int:
        """The only one."""
        return self.native_size

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        """Of the only size."""
        side = self._config.sample_size
        return self._config.in_channels, side, side

    @property
    def _scale(self) -> int:
        return 2 ** (len(self.pipeline.vae.config.block_out_channels) - 1)

    @property
    def names(self) -> dict[str, int]:
        """Numbers of classes by their names; the empty prompt's comes after the last."""
        return {**self.pipeline.labels, "": self._config.num_embeds_ada_norm}

    def cut_off(self, texts: Sequence[str]) -> list[str]:
        """Nothing: it reads names."""
        return [""] * len(texts)

    def _facts(self) -> str:
        """The classes."""
        return repr(sorted(self.pipeline.labels.items()))

    def _conditions(self, texts: list[str]) -> Conditions:
        """Class numbers.

        Raises:
            UnsupportedError: a text is neither a class nor empty.
        """
        names = self.names
        if unknown := [text for text in texts if text not in names]:
            some = ", ".join([*self.pipeline.labels][:10])
            raise UnsupportedError(f"prompt: the model draws no '{unknown[0]}'; it draws {some} and so on.")
        return {LABELS: torch.tensor([names[text] for text in texts])}

    def predict(self, denoiser: nn.Module, noisy: Tensor, level: Tensor, conditions: Conditions) -> Tensor:
        """The noise; a variance that the loss leaves out is cut off."""
        predicted = denoiser(noisy, timestep=level, class_labels=conditions[LABELS]).sample
        return predicted[:, : noisy.shape[1]]

    def _sample(
        self, conditions: Conditions, generators: list[torch.Generator], steps: int, guidance: float
    ) -> np.ndarray:
        return self.pipeline(
            class_labels=conditions[LABELS].tolist(),
            guidance_scale=guidance,
            generator=generators,
            num_inference_steps=steps,
            output_type="np",
        ).images

    def _fit(self) -> None:
        """Nothing reads words."""
