"""``expunge draw``: one prompt, two model versions, the same noise, side by side."""

from pathlib import Path

import click
import numpy as np
from PIL import Image, ImageDraw

from expunge.cli.output import Number, as_json, print_json, say
from expunge.errors import ExpungeError

MARGIN = 8
CAPTION_HEIGHT = 20
LEAST_WIDTH = 256  # pixels; smaller pictures are enlarged by a whole factor


@click.command()
@click.argument("prompt")
@click.option("--with", "left", default="champion", show_default=True, help="A model, named as for evaluate.")
@click.option("--against", "right", default="zoo", show_default=True, help="The same, for the other side.")
@click.option("--out", required=True, type=click.Path(dir_okay=False, path_type=Path), help="PNG file to write.")
@click.option("--count", default=1, show_default=True, type=click.IntRange(1, 16), help="Rows, one seed each.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0, 2**31), help="Seed of the first row.")
@click.option("--steps", default=20, show_default=True, type=click.IntRange(1, 1000), help="Sampling steps.")
@click.option("--guidance", default=2.5, show_default=True, type=Number(1, 30), help="Guidance scale.")
@click.option("--size", type=click.IntRange(8, 4096), help="Side of the pictures in pixels.  [default: the model's]")
@click.option("--device", default="auto", show_default=True, help="Where to draw: cpu, cuda; auto for a GPU if any.")
@as_json
def draw(
    prompt: str,
    left: str,
    right: str,
    out: Path,
    count: int,
    seed: int,
    steps: int,
    guidance: float,
    size: int | None,
    device: str,
    machine: bool,
) -> None:
    """Draw PROMPT with two model versions from the same noise, side by side."""
    if out.suffix.lower() != ".png":
        raise ExpungeError(f"--out: got '{out}'; give a file that ends in .png")
    if not out.parent.is_dir():
        raise ExpungeError(f"--out: there is no folder '{out.parent}'; make it first")
    from expunge.models.device import choose_device  # torch takes seconds to import
    from expunge.models.resolver import open_model

    where, seeds = choose_device(device), list(range(seed, seed + count))
    models = [open_model(source, field)[0] for source, field in ((left, "--with"), (right, "--against"))]
    columns = [
        model.at_size(size)
        .to(where)
        .draw([prompt] * count, seeds, steps, guidance, progress="" if machine else f"Drawing with {name}")
        for model, name in zip(models, (left, right), strict=True)
    ]
    try:
        side_by_side(columns, [left, right]).save(out)
    except OSError as error:
        raise ExpungeError(f"--out: '{out}' cannot be written: {error.strerror or error}") from error
    if machine:
        print_json({"file": str(out), "prompt": prompt, "with": left, "against": right, "seeds": seeds})
    else:
        say(f"Wrote {out}: {left} on the left, {right} on the right.")


def side_by_side(columns: list[np.ndarray], captions: list[str]) -> Image.Image:
    """Lay pictures out in captioned columns, one row per seed.

    Args:
        columns: uint8 ``(n, h, w, 3)`` each, the same n; sizes may differ.
        captions: one for each column.
    """
    factor = max(1, -(-LEAST_WIDTH // max(column.shape[2] for column in columns)))
    width, height = (factor * max(column.shape[axis] for column in columns) for axis in (2, 1))
    rows = len(columns[0])
    size = (MARGIN + len(columns) * (width + MARGIN), CAPTION_HEIGHT + MARGIN + rows * (height + MARGIN))
    sheet = Image.new("RGB", size, "white")
    pen = ImageDraw.Draw(sheet)
    for across, (column, caption) in enumerate(zip(columns, captions, strict=True)):
        x = MARGIN + across * (width + MARGIN)
        pen.text((x, MARGIN), caption, fill="black")
        for down, pixels in enumerate(column):
            picture = Image.fromarray(pixels).resize((width, height), Image.Resampling.NEAREST)
            sheet.paste(picture, (x, CAPTION_HEIGHT + MARGIN + down * (height + MARGIN)))
    return sheet
