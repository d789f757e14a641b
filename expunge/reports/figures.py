"""Pictures for people: contact sheets, and pictures encoded into the page itself."""

import base64
import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

from expunge.errors import ExpungeError
from expunge.pictures.picture_set import PictureSet

# How to encode pictures, best first: longest side in pixels, and WebP quality (None: without loss).
ENCODINGS: tuple[tuple[int, int | None], ...] = (
    (128, None),
    (256, 88),
    (192, 84),
    (128, 80),
    (96, 74),
    (64, 66),
    (32, 50),
)


def grid_png(
    pictures: PictureSet, columns: int = 8, side: int | None = None, gap: int = 4, background: str = "white"
) -> Image.Image:
    """A contact sheet, row by row in the set's order.

    Args:
        pictures: n pictures.
        columns: pictures per row.
        side: width of a picture in pixels; None keeps the original.
        gap: pixels between pictures and around them.
        background: any colour that PIL knows.

    Raises:
        ExpungeError: there are no pictures, or ``columns`` is below 1.
    """
    _check_sheet(pictures, columns)
    tiles = [_scaled(picture, side) for picture in pictures.pictures]
    width, height = tiles[0].size
    columns = min(columns, len(tiles))
    rows = -(-len(tiles) // columns)
    sheet = Image.new("RGB", (gap + columns * (width + gap), gap + rows * (height + gap)), background)
    for index, tile in enumerate(tiles):
        sheet.paste(tile, (gap + index % columns * (width + gap), gap + index // columns * (height + gap)))
    return sheet


def data_uris(pictures: Sequence[np.ndarray], budget: int) -> list[str]:
    """Pictures as WebP data URIs, in the best of ``ENCODINGS`` whose sum stays within ``budget`` characters.

    Args:
        pictures: RGB, uint8, each ``(h, w, 3)``. Small ones are kept without loss where the budget allows.
        budget: characters for all of them together.

    Raises:
        ExpungeError: even the smallest encoding is too large.
    """
    for side, quality in ENCODINGS:
        if quality is None and any(max(picture.shape) > side for picture in pictures):
            continue
        uris = [_webp_uri(picture, side, quality) for picture in pictures]
        if sum(map(len, uris)) <= budget:
            return uris
    raise ExpungeError(
        f"pictures: {len(pictures)} do not fit into {budget:,} characters even at {ENCODINGS[-1][0]} pixels. "
        "Show fewer."
    )


def _webp_uri(picture: np.ndarray, side: int, quality: int | None) -> str:
    image = Image.fromarray(picture)
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    if quality is None:
        image.save(buffer, "WEBP", lossless=True, quality=80, method=4)
    else:
        image.save(buffer, "WEBP", quality=quality, method=4)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()


def _scaled(picture: np.ndarray, side: int | None) -> Image.Image:
    image = Image.fromarray(picture)
    if side is None or side == image.width:
        return image
    return image.resize((side, max(1, round(image.height * side / image.width))), Image.Resampling.BICUBIC)


def _check_sheet(pictures: PictureSet, columns: int) -> None:
    if len(pictures) == 0:
        raise ExpungeError("a contact sheet needs at least one picture; the set is empty")
    if columns < 1:
        raise ExpungeError(f"columns: {columns} given, must be 1 or more")
