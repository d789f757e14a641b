"""Pictures that show nothing: what a judge must know to say so."""

import numpy as np
from PIL import Image

SIDE = 64  # pixels
FIELDS = (1, 2, 4, 8, 16)  # colours a side: a plain picture, smudges, clouds, grain


def null_pictures(each: int = 48, seed: int = 0) -> np.ndarray:
    """RGB, uint8, ``(8 · each, 64, 64, 3)``: ``each`` of every kind, the same for the same seed.

    Random colours, smooth between 1, 2, 4, 8 and 16 a side; squares; stripes; noise, pixel by pixel.
    """
    rng = np.random.default_rng(seed)
    kinds = [_scaled(rng, (count, count), each, Image.Resampling.BICUBIC) for count in FIELDS]
    kinds.append(_scaled(rng, (8, 8), each, Image.Resampling.NEAREST))
    stripes = [_scaled(rng, (1, int(count)), 1, Image.Resampling.NEAREST) for count in rng.integers(2, 16, each)]
    kinds.append(np.concatenate([picture.swapaxes(1, 2) if i % 2 else picture for i, picture in enumerate(stripes)]))
    kinds.append(rng.integers(0, 256, (each, SIDE, SIDE, 3), dtype=np.uint8))
    return np.concatenate(kinds)


def _scaled(rng: np.random.Generator, shape: tuple[int, int], count: int, how: Image.Resampling) -> np.ndarray:
    colours = rng.integers(0, 256, (count, *shape, 3), dtype=np.uint8)
    return np.stack([np.asarray(Image.fromarray(each).resize((SIDE, SIDE), how)) for each in colours])
