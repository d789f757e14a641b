"""What turns pictures into features: named, so that a distance can say between what it was measured.

Numbers of different extractors cannot be compared, nor can those of one network with different resizing: torchmetrics'
Inception smooths while it resizes, the one that FID was defined with does not, and the values differ. Here Inception
is torch-fidelity's, whose resizing is TensorFlow 1's.
"""

import io
from functools import cache
from pathlib import Path

import numpy as np
import torch

from expunge.errors import ExpungeError
from expunge.judges.features import Extractor, checked_pictures, in_batches
from expunge.judges.load_panel import load_open_clip
from expunge.judges.protocols import ClipJudge
from expunge.judges.timm_extractor import TimmExtractor
from expunge.judges.weights_file import read_weights, weights_name
from expunge.plugins import load_plugin, plugin_names

TIMM = "timm:"
INCEPTION_FILE = "weights-inception-2015-12-05-6726825d.pth"
INCEPTION_HELP = (
    f"Expunge fetches nothing while it runs: download {INCEPTION_FILE} from the releases of torch-fidelity on GitHub "
    f"(v0.2.0), convert it once with expunge convert {INCEPTION_FILE} --out inception.safetensors and name that file "
    "in inception_weights."
)


class ClipExtractor:
    """The picture features of a CLIP judge, rows of length 1."""

    is_clip = True

    def __init__(self, judge: ClipJudge) -> None:
        self._judge = judge
        self.name = judge.name
        self.width = judge.picture_features(np.zeros((1, 32, 32, 3), dtype=np.uint8)).shape[1]

    def features(self, pictures: np.ndarray) -> np.ndarray:
        """As ``Extractor.features``."""
        return self._judge.picture_features(checked_pictures(pictures, self.name))


class PixelExtractor:
    """The pictures themselves, averaged to 8×8 fields: 192 features in 0–1, black being 1/256.

    It sees colours and lay-out only, but it was trained on nothing and so shares no judge's blind spots.
    """

    is_clip = False
    side = 8

    def __init__(self, batch_size: int = 256) -> None:
        self.name = f"pixels {self.side}×{self.side}"
        self.width = 3 * self.side**2
        self._batch_size = batch_size

    def features(self, pictures: np.ndarray) -> np.ndarray:
        """As ``Extractor.features``.

        Raises:
            ExpungeError: as there, or pictures smaller than the fields.
        """
        rows = checked_pictures(pictures, self.name)
        if min(rows.shape[1:3]) < self.side:
            height, width = rows.shape[1:3]
            raise ExpungeError(f"{self.name}: pictures are {height}×{width}; at least {self.side}×{self.side} needed.")
        # Black must not be a row of zeros: that would have no direction, and a black picture has a distance.
        return in_batches(
            lambda batch: (torch.nn.functional.adaptive_avg_pool2d(batch.float(), self.side).flatten(1) + 1) / 256,
            rows,
            self._batch_size,
            self.width,
        )


class InceptionExtractor:
    """FID's InceptionV3 (TensorFlow, 2015), pooled layer of 2,048 features, through torch-fidelity.

    Source: Heusel et al., 2017, arXiv 1706.08500. Pictures of any size are scaled to 299×299 as TensorFlow 1 does.

    Args:
        weights: safetensors file of torch-fidelity's state dict; the error for a missing one says how to make it.
        batch_size: pictures a forward pass; about 12 MB each.

    Raises:
        ExpungeError: no file, not safetensors, or not this network's.
    """

    is_clip = False
    width = 2048

    def __init__(self, weights: str | Path | None, batch_size: int = 32) -> None:
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

        if not weights:
            raise ExpungeError(f"inception_weights: nothing given, but FID needs Inception's weights. {INCEPTION_HELP}")
        buffer = io.BytesIO()
        torch.save(read_weights(weights, "inception_weights", INCEPTION_HELP), buffer)
        buffer.seek(0)
        try:
            # It reads torch's own format alone, so it is handed the tensors again in that, out of our memory.
            network = FeatureExtractorInceptionV3("inception", ["2048"], feature_extractor_weights_path=buffer)
        except RuntimeError as error:
            raise ExpungeError(
                f"inception_weights: '{weights}' holds other tensors than FID's Inception. {INCEPTION_HELP}"
            ) from error
        self._network = network
        self._batch_size = batch_size
        self.name = f"inception-v3-compat 2048 (FID's, weights {weights_name(weights)})"

    def features(self, pictures: np.ndarray) -> np.ndarray:
        """As ``Extractor.features``."""
        rows = checked_pictures(pictures, self.name)
        return in_batches(lambda batch: self._network(batch)[0], rows, self._batch_size, self.width)


@cache
def load_extractor(name: str, inception_weights: str | Path | None = None) -> Extractor:
    """The extractor called ``name``.

    Args:
        name: ``inception``, ``pixels``, a named panel such as ``zoo`` (its CLIP), ``timm:MODEL:FILE`` with a
            safetensors file of that network's weights, or an open_clip model as in ``load_panel``.
        inception_weights: safetensors file of Inception's weights; used by ``inception`` alone.

    Raises:
        ExpungeError: the weights are missing or not the network's.
    """
    if name == "inception":
        return InceptionExtractor(inception_weights)
    if name == "pixels":
        return PixelExtractor()
    if name.startswith(TIMM):
        model, _, weights = name.removeprefix(TIMM).partition(":")
        return TimmExtractor(model, weights)
    if name in plugin_names("judges"):
        return ClipExtractor(load_plugin("judges", name)().clip)
    return ClipExtractor(load_open_clip(name))
