"""Any timm network as a feature extractor, with weights from a local safetensors file: named by all of that."""

from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from torch.nn.functional import interpolate

from expunge.errors import ExpungeError
from expunge.judges.features import checked_pictures, in_batches
from expunge.judges.weights_file import read_weights, weights_name


class TimmExtractor:
    """The pooled features before a timm network's classifier.

    Pictures of any size are scaled to the network's own, whole and not cropped, bicubic, and normalised as it expects.

    Args:
        model: timm's name of the network, e.g. ``tf_efficientnet_lite0``.
        weights: safetensors file of its state dict; ``expunge convert`` makes one.
        batch_size: pictures a forward pass.

    Raises:
        ExpungeError: timm knows no such network, there is no such file, or it holds other tensors.
    """

    is_clip = False

    def __init__(self, model: str, weights: str | Path, batch_size: int = 64) -> None:
        network = timm_network(model)
        remedy = f"Make one of published weights: expunge convert FILE --out OUT.safetensors --timm {model}"
        try:
            network.load_state_dict(read_weights(weights, "features", remedy))
        except RuntimeError as error:
            raise ExpungeError(f"features: '{weights}' holds other tensors than timm's {model}. {remedy}") from error
        self._network = network.eval().requires_grad_(False)
        facts = timm.data.resolve_model_data_config(network)
        self._side = facts["input_size"][1:]
        self._mean, self._spread = (torch.tensor(facts[name]).view(1, 3, 1, 1) for name in ("mean", "std"))
        self._batch_size = batch_size
        self.width = int(self._pooled(torch.zeros(1, 3, *self._side)).shape[1])
        self.name = f"{model} (timm, {'×'.join(map(str, self._side))}, weights {weights_name(weights)})"

    def features(self, pictures: np.ndarray) -> np.ndarray:
        """As ``Extractor.features``."""
        return in_batches(self._pooled, checked_pictures(pictures, self.name), self._batch_size, self.width)

    def _pooled(self, batch: torch.Tensor) -> torch.Tensor:
        scaled = interpolate(batch.float() / 255, self._side, mode="bicubic", antialias=True).clamp(0, 1)
        seen = self._network.forward_features((scaled - self._mean) / self._spread)
        return self._network.forward_head(seen, pre_logits=True)


def timm_network(model: str) -> Any:
    """A timm network without weights; nothing is fetched.

    Raises:
        ExpungeError: timm knows none of that name.
    """
    try:
        return timm.create_model(model, pretrained=False)
    except RuntimeError as error:
        raise ExpungeError(f"features: timm has no network '{model}'; timm.list_models() has the names.") from error
