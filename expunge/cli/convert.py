"""``expunge convert``: pickled weights as safetensors."""

from pathlib import Path

import click

from expunge.cli.output import as_json, print_json, say
from expunge.progress import track


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder to write; must not be there yet.")
@as_json
def convert(folder: Path, out: Path, machine: bool) -> None:
    """Copy FOLDER with its pickled weights (.bin, .ckpt, .pt) as safetensors files.

    Nothing that a pickle holds is run: a file with anything but tensors in it is refused.
    """
    from expunge.models.unpickling import convert_folder  # torch takes seconds to import

    label = "" if machine else "Converting"
    done = convert_folder(folder, out, lambda files: track(files, label))
    if machine:
        print_json({"folder": str(out), "converted": done})
    else:
        say(f"Wrote {out}: {len(done)} files of weights are safetensors now.")
