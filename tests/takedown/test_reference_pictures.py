"""Pictures from strangers: what is decoded, and what is refused before it can do harm."""

import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from expunge.errors import ExpungeError
from expunge.takedown import picture_files
from expunge.takedown.picture_files import MAX_BYTES, decode_picture, decode_pictures
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


def png_with_clear_colour(bits: int, colours: int, row: bytes, clear: bytes) -> bytes:
    """A PNG of one row of two pixels (grey: ``colours`` 0; RGB: 2) of which one colour is transparent."""
    header = struct.pack(">IIBBBBB", 2, 1, bits, colours, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"tRNS", clear), (b"IDAT", zlib.compress(b"\0" + row)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*each) for each in chunks)


@pytest.mark.parametrize(
    ("bits", "colours", "row", "clear", "rest"),
    [
        (1, 0, b"\x40", struct.pack(">H", 0), 255),
        (2, 0, b"\x90", struct.pack(">H", 2), 85),
        (4, 0, b"\x5a", struct.pack(">H", 5), 170),
        (8, 0, b"\x05\x09", struct.pack(">H", 5), 9),
        (16, 0, struct.pack(">HH", 1000, 257 * 9), struct.pack(">H", 1000), 9),
        (8, 2, b"\x05\x05\x05\x09\x09\x09", struct.pack(">HHH", 5, 5, 5), 9),
        (16, 2, struct.pack(">6H", 1000, 2000, 3000, 2304, 2304, 2304), struct.pack(">3H", 1000, 2000, 3000), 9),
    ],
)
def test_a_clear_colour_becomes_white_in_every_depth(
    bits: int, colours: int, row: bytes, clear: bytes, rest: int
) -> None:
    data = png_with_clear_colour(bits, colours, row, clear)
    assert decode_picture("a", data).tolist() == [[[255] * 3, [rest] * 3]]


def test_a_clear_colour_is_found_in_a_turned_picture() -> None:
    grey = Image.fromarray(np.array([[0, 1000, 65535]], dtype=np.uint16))
    exif = Image.Exif()
    exif[0x0112] = 6
    assert decode_picture("a", save(grey, transparency=1000, exif=exif))[:, 0, 0].tolist() == [0, 255, 255]


def srgb_profile() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def swapped_profile() -> bytes:
    """sRGB with its red and green exchanged: what such a picture calls red is green."""
    return srgb_profile().replace(b"rXYZ", b"????").replace(b"gXYZ", b"rXYZ").replace(b"????", b"gXYZ")


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP"])
def test_a_colour_profile_is_obeyed(format: str) -> None:
    red = Image.new("RGB", (8, 8), (200, 30, 0))
    how = {"quality": 100} | ({"lossless": True} if format == "WEBP" else {}) if format != "PNG" else {}
    [pixel] = decode_picture("a", save(red, format, icc_profile=swapped_profile(), **how))[4:5, 4].tolist()
    assert pixel == pytest.approx([30, 200, 0], abs=4)


def test_an_srgb_profile_changes_nothing() -> None:
    data = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    assert np.array_equal(decode_picture("a", save(Image.fromarray(data), icc_profile=srgb_profile())), data)


def test_profile_and_transparency_go_together() -> None:
    half = Image.new("RGBA", (1, 2), (200, 30, 0, 255))
    half.putpixel((0, 1), (200, 30, 0, 0))
    data = save(half, icc_profile=swapped_profile())
    assert decode_picture("a", data).tolist() == [[[30, 200, 0]], [[255, 255, 255]]]
    palette = Image.new("P", (1, 1), 0)
    palette.putpalette([200, 30, 0])
    assert decode_picture("a", save(palette, icc_profile=swapped_profile())).tolist() == [[[30, 200, 0]]]


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "P", "1", "I;16"])
@pytest.mark.parametrize(
    "profile",
    [b"junk", srgb_profile()[:300], srgb_profile()[:128] + b"\xff" * 200, "LAB", "XYZ"],
    ids=["junk", "cut", "nonsense", "LAB", "XYZ"],
)
def test_a_profile_that_does_not_fit_is_ignored(mode: str, profile: bytes | str) -> None:
    if isinstance(profile, str):
        profile = ImageCms.ImageCmsProfile(ImageCms.createProfile(profile)).tobytes()
    picture = Image.fromarray(np.full((4, 4), 257 * 90, np.uint16)) if mode == "I;16" else Image.new(mode, (4, 4), 90)
    plain = decode_picture("a", save(picture))
    assert np.array_equal(decode_picture("a", save(picture, icc_profile=profile)), plain)


def test_a_cmyk_photo_with_a_profile_of_other_colours() -> None:
    data = picture_bytes((9, 7), "JPEG", mode="CMYK")
    with_profile = picture_bytes((9, 7), "JPEG", mode="CMYK", icc_profile=srgb_profile())
    assert np.array_equal(decode_picture("a", with_profile), decode_picture("a", data))


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


def test_what_a_request_brings_is_limited_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    files = [(f"{number}.png", picture_bytes((100, 100))) for number in range(5)]
    assert [(name, pixels.shape) for name, _, pixels in decode_pictures(files)] == [
        (name, (100, 100, 3)) for name, _ in files
    ]
    monkeypatch.setattr(picture_files, "MAX_PIXELS_OF_A_REQUEST", 30_000)
    with pytest.raises(ExpungeError, match=r"pictures: up to '3\.png' they have 0 megapixels together; at most 0 are"):
        list(decode_pictures(files))
    monkeypatch.setattr(picture_files, "MAX_BYTES_OF_A_REQUEST", 2 * len(files[0][1]))
    read = iter(files)
    with pytest.raises(ExpungeError, match=r"pictures: up to '2\.png' they have .* MB together; .* fewer or smaller"):
        list(decode_pictures(read))
    assert [name for name, _ in read] == ["3.png", "4.png"]  # neither was read


def test_pictures_are_decoded_one_at_a_time() -> None:
    data, read = picture_bytes((10, 10)), []

    def files():
        for number in range(3):
            read.append(number)
            yield f"{number}.png", data

    decoded = decode_pictures(files())
    for number in range(3):
        next(decoded)
        assert read == list(range(number + 1))


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
