"""``expunge convert``: pickled weights as safetensors."""

from pathlib import Path

import click

from expunge.cli.output import as_json, print_json, say
from expunge.progress import track


@click.command()
@click.argument("source", type=click.Path(exists=True, path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder or file to write; not there yet.")
@click.option("--timm", "timm_model", default="", metavar="MODEL", help="Name the tensors as this timm network does.")
@as_json
def convert(source: Path, out: Path, timm_model: str, machine: bool) -> None:
    """Write SOURCE, a model's folder or one file of weights (.bin, .ckpt, .pt, .pth), with safetensors in their place.

    Nothing that a pickle holds is run: a file with anything but tensors in it is refused.
    """
    if source.is_dir():
        from expunge.models.unpickling import convert_folder  # torch takes seconds to import

        label = "" if machine else "Converting"
        done = convert_folder(source, out, lambda files: track(files, label))
    else:
        from expunge.judges.published_weights import convert_weights

        convert_weights(source, out, timm_model)
        done = [source.name]
    if machine:
        print_json({"out": str(out), "converted": done})
    else:
        say(f"Wrote {out}: {', '.join(done)} as safetensors.")
