"""Reference pictures that strangers send, decoded with care."""

import contextlib
import io
from collections.abc import Iterable, Iterator

import numpy as np
from PIL import Image, ImageCms, ImageFile, ImageOps

from expunge.errors import ExpungeError

MAX_BYTES = 10_000_000
MAX_PIXELS = 16_000_000
MAX_BYTES_OF_A_REQUEST = 100_000_000
MAX_PIXELS_OF_A_REQUEST = 400_000_000
FORMATS = ("PNG", "JPEG", "WEBP")
_GREY_STEPS = {"L;2": 85, "L;4": 17}  # of greys in less than 8 bits, once they are 8 bits


def decode_pictures(files: Iterable[tuple[str, bytes]]) -> Iterator[tuple[str, bytes, np.ndarray]]:
    """Decode the pictures of one request, one at a time: name, bytes, and pixels as of ``decode_picture``.

    Raises:
        ExpungeError: as ``decode_picture``, or all together are above 100 MB or 400 megapixels.
    """
    size = area = 0
    for name, data in files:
        size += len(data)
        _check_total(name, size / 1e6, MAX_BYTES_OF_A_REQUEST / 1e6, "MB")
        pixels = decode_picture(name, data)
        area += pixels.shape[0] * pixels.shape[1]
        _check_total(name, area / 1e6, MAX_PIXELS_OF_A_REQUEST / 1e6, "megapixels")
        yield name, data, pixels


def _check_total(name: str, total: float, allowed: float, unit: str) -> None:
    if total > allowed:
        raise ExpungeError(
            f"pictures: up to '{name}' they have {total:.0f} {unit} together; at most {allowed:.0f} are allowed "
            "in one request; send fewer or smaller ones"
        )


def decode_picture(name: str, data: bytes) -> np.ndarray:
    """Decode one picture: upright, in sRGB if it has a colour profile that can be read, on white where transparent.

    Format and size are read from the header, before any pixel is decoded.

    Args:
        name: for messages only.
        data: the file's bytes.

    Returns:
        RGB, uint8, ``(h, w, 3)``.

    Raises:
        ExpungeError: it is above 10 MB or 16 megapixels, no PNG, JPEG or WEBP, animated, truncated or
            broken; the message names the picture and the limit.
    """
    if len(data) > MAX_BYTES:
        raise ExpungeError(f"picture '{name}': has {len(data) / 1e6:.1f} MB; at most {MAX_BYTES / 1e6:.0f} are allowed")
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as picture:
            _check_header(name, picture)
        with Image.open(io.BytesIO(data), formats=FORMATS) as picture:
            picture.verify()  # checksums, which decoding skips; leaves the object unusable
        with Image.open(io.BytesIO(data), formats=FORMATS) as picture:
            return _to_rgb(picture)
    except (ExpungeError, MemoryError):
        raise
    except Image.UnidentifiedImageError as error:
        raise ExpungeError(f"picture '{name}': is no {', '.join(FORMATS)}; save it as one of them") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_many_pixels(name) from error
    except Exception as error:  # decoders answer damaged files with a dozen types of exception
        raise ExpungeError(f"picture '{name}': is broken or truncated ({error}); save it again") from error


def _check_header(name: str, picture: Image.Image) -> None:
    width, height = picture.size
    if width * height > MAX_PIXELS:
        raise _too_many_pixels(name, f"{width} × {height} pixels")
    # A phone's MPO is a JPEG with a second, hidden picture: the first one is meant.
    if getattr(picture, "n_frames", 1) > 1 and picture.format != "MPO":
        raise ExpungeError(f"picture '{name}': is animated; save one frame of it")


def _too_many_pixels(name: str, size: str = "too many pixels") -> ExpungeError:
    return ExpungeError(f"picture '{name}': has {size}; at most {MAX_PIXELS / 1e6:.0f} megapixels are allowed")


def _to_rgb(picture: Image.Image) -> np.ndarray:
    _scale_transparency(picture)
    upright, clear = ImageOps.exif_transpose(picture), picture.info.get("transparency")
    if upright.mode.startswith("I"):  # 16 bits a pixel: converting would clip, not scale
        wide = np.asarray(upright).clip(0, 65535).astype(np.uint32)
        colours = Image.fromarray(((wide + 128) // 257).astype(np.uint8))
        alpha = None if clear is None else Image.fromarray(np.where(wide == clear, 0, 255).astype(np.uint8))
    else:
        alpha = upright.convert("RGBA").getchannel("A") if upright.has_transparency_data else None
        colours = upright.convert({"1": "L", "L": "L", "LA": "L", "CMYK": "CMYK"}.get(upright.mode, "RGB"))
    colours = _in_srgb(colours, picture.info.get("icc_profile"))
    if alpha is not None:
        colours = Image.composite(colours, Image.new("RGB", colours.size, "white"), alpha)
    return np.array(colours)


def _scale_transparency(picture: Image.Image) -> None:
    """Bring a PNG's transparent colour to the depth of the decoded pixels; the file and Pillow have it in its own."""
    clear = picture.info.get("transparency")
    stored = picture.tile[0].args if isinstance(picture, ImageFile.ImageFile) and picture.tile else None
    if stored in _GREY_STEPS and clear is not None:
        picture.info["transparency"] = clear * _GREY_STEPS[stored]
    elif stored == "RGB;16B" and clear is not None:
        picture.info["transparency"] = tuple(each >> 8 for each in clear)


def _in_srgb(colours: Image.Image, profile: bytes | None) -> Image.Image:
    """RGB colours in sRGB; taken as they are if their profile is broken or one of other colours."""
    if profile:
        with contextlib.suppress(OSError, ImageCms.PyCMSError):
            given = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            transform = ImageCms.buildTransform(given, ImageCms.createProfile("sRGB"), colours.mode, "RGB")
            return transform.apply(colours)
    return colours.convert("RGB")
