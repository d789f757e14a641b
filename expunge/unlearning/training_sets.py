"""What a run trains on, and its files."""

from dataclasses import dataclass
from pathlib import Path

from torch import nn

from expunge.models.resolver import read_folder
from expunge.models.text_to_image import TextToImage
from expunge.pictures.picture_set import PictureSet
from expunge.pictures.picture_set_files import load_pictures, save_pictures
from expunge.unlearning.gradient_cache import GradientCache
from expunge.unlearning.ranks import Ranks
from expunge.unlearning.sharding import shard


@dataclass(frozen=True)
class TrainingSets:
    """What a run trains on.

    Attributes:
        forget: forget set.
        retain: retain set.
        cache: gradients of both at θ₀, for what uses them.
        first: the model before all takedowns: what it predicts is retained, so that the errors of many takedowns do not
            add up. None: what the model itself predicts.
    """

    forget: PictureSet
    retain: PictureSet
    cache: GradientCache | None = None
    first: TextToImage | None = None

    def original(self, beside: nn.Module, ranks: Ranks) -> nn.Module | None:
        """The first model's denoiser where the trained one is, and cut as that is; None: there is no first model."""
        if self.first is None:
            return None
        if ranks.sharded:
            shard(self.first.denoiser, ranks.device)
            return self.first.denoiser
        return self.first.denoiser.to(next(beside.parameters()).device)


def save_sets(sets: TrainingSets, folder: Path) -> None:
    """Write them into folders of a folder that is there."""
    save_pictures(sets.forget, folder / "forget")
    save_pictures(sets.retain, folder / "retain")
    if sets.cache is not None:
        sets.cache.save(folder / "cache")
    if sets.first is not None:
        sets.first.save(folder / "first")


def load_sets(folder: Path) -> TrainingSets:
    """What `save_sets` wrote; the first model is where it was read to."""
    cache, first = folder / "cache", folder / "first"
    return TrainingSets(
        load_pictures(folder / "forget"),
        load_pictures(folder / "retain"),
        GradientCache.load(cache) if cache.exists() else None,
        read_folder(first) if first.exists() else None,
    )
