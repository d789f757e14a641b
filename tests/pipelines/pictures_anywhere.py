"""Looking for pictures by their pixels in whatever lies in a folder or a bucket."""

import base64
import hashlib
import io
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from safetensors.numpy import load

DATA_URI = re.compile(rb"data:image/[^;\"]+;base64,([A-Za-z0-9+/=]+)")
GAP = 4  # of contact sheets


def hash_of(picture: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(picture).tobytes()).hexdigest()


def found_in(files: Iterable[tuple[str, bytes]], pictures: Iterable[np.ndarray]) -> dict[str, int]:
    """How many pictures of those each file holds, by name; files without any are left out."""
    wanted = {hash_of(picture): np.ascontiguousarray(picture) for picture in pictures}
    side = next(iter(wanted.values())).shape[0]
    plain = {key: (picture.tobytes(), _png(picture)) for key, picture in wanted.items()}
    counts = {}
    for name, data in files:
        held = {hash_of(each) for each in _decoded(name, data, side)} & set(wanted)
        held |= {key for key, ways in plain.items() if any(way in data for way in ways)}
        if held:
            counts[name] = len(held)
    return counts


def files_below(*folders: Path) -> Iterator[tuple[str, bytes]]:
    """Every file below folders, without links."""
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                yield str(path), path.read_bytes()


def _decoded(name: str, data: bytes, side: int) -> Iterator[np.ndarray]:
    if name.endswith(".parquet"):
        table = pd.read_parquet(io.BytesIO(data))
        yield from (np.asarray(Image.open(io.BytesIO(each))) for each in table.get("png", ()))
    elif name.endswith(".safetensors"):
        for tensor in load(data).values():
            yield from tensor if tensor.dtype == np.uint8 and tensor.ndim == 4 else ()
    elif name.endswith(".png"):
        sheet = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
        places = [range(GAP, length - side + 1, side + GAP) for length in sheet.shape[:2]]
        yield from (sheet[y : y + side, x : x + side] for y in places[0] for x in places[1])
        yield sheet
    for uri in DATA_URI.findall(data):
        yield np.asarray(Image.open(io.BytesIO(base64.b64decode(uri))).convert("RGB"))


def _png(picture: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, format="PNG")
    return buffer.getvalue()
