"""Pages without the pictures of what was taken down: blurred in their bytes, or gone."""

import base64
import io
import re
from collections.abc import Callable, Collection
from html import escape, unescape

from PIL import Image

_PICTURE = re.compile(r'<img src="data:image/[^;"]+;base64,([^"]+)" alt="([^"]*)">')
_REVEAL = re.compile(r'<label class="reveal-label.*?</label>', re.DOTALL)
_NOTE = (
    '<p class="note">The request is closed: pictures of models that draw it were purged. Numbers and hashes stay.</p>'
)
_SIDE = 8  # pixels that a blurred thumbnail keeps


def purged_page(
    page: str, names: Collection[str], shows: Callable[[str], bool], blurred: bool = True, side: str = ""
) -> tuple[str, int]:
    """The page without the pictures of targets, and how many there were. Of a page without any: itself, and none.

    Pictures go that stand under the heading of a target, whatever their prompt, and those whose prompt asks for one.

    Args:
        page: HTML as the reports write it.
        names: of the targets, as in the headings.
        shows: whether a prompt asks for one of them.
        blurred: whether thumbnails of ``8 × 8`` pixels are left in their place, or even grey.
        side: ``Before`` or ``After``: of pairs, the pictures of the one model alone; both if empty.
    """
    headings = tuple(f"Prompts for the target “{escape(name)}”" for name in names)
    count = 0
    parts = page.split("<h3>")
    for place, part in enumerate(parts):
        of_target = place > 0 and bool(headings) and unescape(part).startswith(tuple(map(unescape, headings)))

        # Of the one model's pictures; where the other model drew the very same, that goes too.
        same = {data for data, alt in _PICTURE.findall(part) if alt.startswith(f"{side}, ")}

        def purge(found: re.Match[str], whole: bool = of_target, same: set[str] = same) -> str:
            nonlocal count
            other = bool(side) and found[2].startswith(("Before, ", "After, ")) and not found[2].startswith(f"{side}, ")
            if (other and found[1] not in same) or not (whole or shows(unescape(found[2]))):
                return found[0]
            count += 1
            return f'<img data-purged src="{_left_of(found[1], blurred)}" alt="{found[2]}">'

        before = count
        parts[place] = _PICTURE.sub(purge, part)
        if of_target and count > before:
            # What is left stays blurred until it is asked for.
            told = rf"\g<0>{_NOTE}" if _PICTURE.search(parts[place]) else _NOTE
            parts[place] = _REVEAL.sub(told, parts[place])
    return "<h3>".join(parts), count


def _left_of(picture: str, blurred: bool) -> str:
    """A picture as a data URI of the same size that tells no more than 8 × 8 pixels, or nothing."""
    image = Image.open(io.BytesIO(base64.b64decode(picture))).convert("RGB")
    if blurred:
        left = image.resize((_SIDE, _SIDE), Image.Resampling.BOX).resize(image.size, Image.Resampling.BICUBIC)
    else:
        left = Image.new("RGB", image.size, "#ccc")
    buffer = io.BytesIO()
    left.save(buffer, "WEBP", quality=50)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()
