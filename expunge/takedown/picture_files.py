"""Reference pictures that strangers send, decoded with care."""

import io

import numpy as np
from PIL import Image, ImageOps

from expunge.errors import ExpungeError

MAX_BYTES = 10_000_000
MAX_PIXELS = 16_000_000
FORMATS = ("PNG", "JPEG", "WEBP")


def decode_picture(name: str, data: bytes) -> np.ndarray:
    """Decode one picture, upright and on white where it is transparent.

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
    except ExpungeError:
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
    upright = ImageOps.exif_transpose(picture)
    if upright.mode.startswith("I"):  # 16 bits a pixel: converting would clip, not scale
        grey = (np.asarray(upright).astype(np.float64) / 257).round().clip(0, 255).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=2)
    if upright.has_transparency_data:
        opaque = upright.convert("RGBA")
        upright = Image.alpha_composite(Image.new("RGBA", opaque.size, "white"), opaque)
    return np.array(upright.convert("RGB"))
