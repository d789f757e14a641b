"""CLIP as a judge, through open_clip: any model it can load, from a folder, its hub, or its own list."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import open_clip
import torch
from safetensors import SafetensorError

from expunge.errors import ExpungeError
from expunge.models.hashing import module_digest
from expunge.models.loading import LOADING


class OpenClipJudge:
    """Unit-norm features of pictures and texts by an open_clip model.

    Args:
        model: an open_clip name, e.g. ``local-dir:FOLDER``, ``hf-hub:laion/CLIP-ViT-B-32-laion2B-s34B-b79K`` or
            ``ViT-B-32``.
        pretrained: weight tag for a name of open_clip's own list, e.g. ``laion2b_s34b_b79k``.
        name: how reports call it; the model's name if not given.
        batch_size: pictures a forward pass.
        device: where it runs, as torch calls it.

    Raises:
        ExpungeError: open_clip cannot load the model, or has no weights for it.
    """

    def __init__(
        self, model: str, pretrained: str | None = None, name: str = "", batch_size: int = 128, device: str = "cpu"
    ) -> None:
        try:
            with LOADING, _without_chatter():
                # Refuses a model without weights; open_clip's other ways in would start it from random ones.
                loaded, self._preprocess = open_clip.create_model_from_pretrained(model, pretrained=pretrained)
                self._tokenizer = open_clip.get_tokenizer(model)
        except (RuntimeError, OSError, ValueError, SafetensorError) as error:
            raise ExpungeError(f"CLIP judge '{model}' cannot be loaded: {error}") from error
        self._model = loaded.eval().requires_grad_(False).to(device)
        self._device = device
        self._batch_size = batch_size
        self.name = name or model

    def digest(self) -> str:
        """SHA-256 of its weights, its preprocessing and its name."""
        return module_digest(self._model, self.name, repr(self._preprocess), type(self._tokenizer).__name__)

    @torch.no_grad()
    def picture_features(self, pictures: np.ndarray) -> np.ndarray:
        """Features of uint8 RGB pictures ``(n, h, w, 3)``: float32 ``(n, d)``, unit norm.

        Pictures of the model's own size are only normalised; others go through its open_clip preprocessing.
        """
        features = []
        for start in range(0, len(pictures), self._batch_size):
            batch = self._prepared(pictures[start : start + self._batch_size]).to(self._device)
            features.append(self._model.encode_image(batch, normalize=True).float().cpu().numpy())
        return np.concatenate(features) if features else np.zeros((0, self._width()), np.float32)

    @torch.no_grad()
    def text_features(self, texts: list[str]) -> np.ndarray:
        """Features of texts: float32 ``(n, d)``, unit norm."""
        features = []
        for start in range(0, len(texts), self._batch_size):
            tokens = self._tokenizer(texts[start : start + self._batch_size]).to(self._device)
            features.append(self._model.encode_text(tokens, normalize=True).float().cpu().numpy())
        return np.concatenate(features) if features else np.zeros((0, self._width()), np.float32)

    def cut_off(self, texts: list[str]) -> list[bool]:
        """Whether a text is longer than its context, one answer each."""
        window = int(self._model.context_length)
        rows = self._tokenizer(["", *texts], 4 * window)  # padded behind what is read
        padding = rows[0, -1]
        ends = int((rows[0, 1] == padding).item())  # where padding is the end token, one more belongs to the text
        return [int((row != padding).sum()) + ends > window for row in rows[1:]]

    def _prepared(self, pictures: np.ndarray) -> torch.Tensor:
        size = self._model.visual.image_size
        if pictures.shape[1:3] == (tuple(size) if isinstance(size, (tuple, list)) else (size, size)):
            visual = self._model.visual
            mean, spread = (torch.tensor(each).view(1, 3, 1, 1) for each in (visual.image_mean, visual.image_std))
            return (torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255 - mean) / spread
        from PIL import Image

        return torch.stack([self._preprocess(Image.fromarray(picture)) for picture in pictures])

    def _width(self) -> int:
        return self.text_features(["a"]).shape[1]


@contextmanager
def _without_chatter() -> Iterator[None]:
    """open_clip tells the root logger each stage of loading, paths and all; its warnings still come through."""
    before = logging.root.manager.disable
    logging.disable(max(before, logging.INFO))
    try:
        yield
    finally:
        logging.disable(before)
