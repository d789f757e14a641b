"""Pictures from strangers: what is decoded, and what is refused before it can do harm."""

import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from expunge.errors import ExpungeError
from expunge.takedown.picture_files import MAX_BYTES, decode_picture
from tests.takedown.conftest import picture_bytes


def save(picture: Image.Image, format: str = "PNG", **how) -> bytes:
    file = io.BytesIO()
    picture.save(file, format=format, **how)
    return file.getvalue()


def png_chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png_claiming(width: int, height: int) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = png_chunk(b"IHDR", header) + png_chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + png_chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP"])
def test_the_three_formats(format: str) -> None:
    pixels = decode_picture("a", picture_bytes((9, 7), format))
    assert pixels.shape == (7, 9, 3) and pixels.dtype == np.uint8


def test_png_pixels_are_exact() -> None:
    pixels = np.arange(7 * 9 * 3, dtype=np.uint8).reshape(7, 9, 3)
    assert np.array_equal(decode_picture("a", save(Image.fromarray(pixels))), pixels)


def test_transparency_becomes_white() -> None:
    clear = Image.new("RGBA", (2, 2), (200, 0, 0, 0))
    assert decode_picture("a", save(clear)).tolist() == [[[255] * 3] * 2] * 2
    palette = Image.new("P", (2, 2), 0)
    palette.putpalette([200, 0, 0])
    assert decode_picture("a", save(palette, transparency=0)).min() == 255


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA"])
def test_other_modes_become_rgb(mode: str) -> None:
    assert decode_picture("a", picture_bytes((9, 7), mode=mode)).shape == (7, 9, 3)


def test_cmyk_becomes_rgb() -> None:
    assert decode_picture("a", picture_bytes((9, 7), "JPEG", mode="CMYK")).shape == (7, 9, 3)


def test_sixteen_bits_are_scaled_not_clipped() -> None:
    grey = Image.fromarray(np.array([[0, 257 * 100, 65535]], dtype=np.uint16))
    assert decode_picture("a", save(grey))[0, :, 0].tolist() == [0, 100, 255]


def test_a_rotated_photo_is_put_upright() -> None:
    photo = Image.new("RGB", (8, 4), "black")
    photo.putpixel((0, 0), (255, 255, 255))
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90° clockwise to see it upright
    pixels = decode_picture("a", save(photo, exif=exif))
    assert pixels.shape == (8, 4, 3) and pixels[0, 3].tolist() == [255, 255, 255]


def test_too_many_bytes() -> None:
    with pytest.raises(ExpungeError, match=r"picture 'big\.png': has 10\.0 MB; at most 10 are allowed"):
        decode_picture("big.png", b"\0" * (MAX_BYTES + 1))


@pytest.mark.parametrize("size", [(4001, 4000), (20_000, 20_000), (2**31 - 1, 2**31 - 1)])
def test_too_many_pixels_are_refused_before_decoding(size: tuple[int, int]) -> None:
    with pytest.raises(ExpungeError, match="picture 'bomb.png': has .*; at most 16 megapixels"):
        decode_picture("bomb.png", png_claiming(*size))


def test_a_text_chunk_that_explodes() -> None:
    good = picture_bytes()
    bomb = png_chunk(b"zTXt", b"comment\0\0" + zlib.compress(b"\0" * 50_000_000))
    with pytest.raises(ExpungeError, match="picture 'a': is broken"):
        decode_picture("a", good[:33] + bomb + good[33:])


@pytest.mark.parametrize("format", ["PNG", "WEBP", "GIF"])
def test_animations_are_refused(format: str) -> None:
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    data = save(frames[0], format, save_all=True, append_images=frames[1:])
    with pytest.raises(ExpungeError, match="picture 'a': is (animated|no PNG, JPEG, WEBP)"):
        decode_picture("a", data)


@pytest.mark.parametrize("format", ["GIF", "BMP", "TIFF", "PPM", "ICO"])
def test_other_formats_are_refused_whatever_the_name_says(format: str) -> None:
    with pytest.raises(ExpungeError, match=r"picture 'a\.png': is no PNG, JPEG, WEBP"):
        decode_picture("a.png", picture_bytes((16, 16), format))


@pytest.mark.parametrize("data", [b"", b"hello", b"<svg/>", b"%!PS-Adobe-3.0 EPSF-3.0\n", b"\x89PNG\r\n\x1a\n"])
def test_what_is_no_picture(data: bytes) -> None:
    with pytest.raises(ExpungeError, match="picture 'a': is "):
        decode_picture("a", data)


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_truncated_pictures_are_refused(format: str, share: float) -> None:
    data = picture_bytes((64, 64), format)
    with pytest.raises(ExpungeError, match="picture 'a': is broken or truncated|is no PNG"):
        decode_picture("a", data[: int(len(data) * share)])


def test_a_flipped_bit_in_a_png_is_noticed() -> None:
    data = bytearray(picture_bytes((64, 64)))
    data[len(data) // 2] ^= 1
    with pytest.raises(ExpungeError, match="is broken"):
        decode_picture("a", bytes(data))


@settings(max_examples=150, deadline=None)
@given(
    format=st.sampled_from(["PNG", "JPEG", "WEBP"]),
    edits=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=8),
)
def test_damage_is_decoded_or_refused_but_nothing_else(format: str, edits: list[tuple[float, int]]) -> None:
    data = bytearray(picture_bytes((12, 12), format))
    for where, value in edits:
        data[int(where * len(data))] = value
    try:
        pixels = decode_picture("a", bytes(data))
    except ExpungeError as error:
        assert str(error).startswith("picture 'a': ")
    else:
        assert pixels.dtype == np.uint8 and pixels.ndim == 3 and pixels.shape[2] == 3
