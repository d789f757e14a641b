"""``expunge export``: a model for other programs."""

import tempfile
from pathlib import Path

import click

from expunge.cli.output import as_json, print_json, say
from expunge.errors import ExpungeError

WAYS = ("diffusers", "lora", "single-file")


@click.command()
@click.argument("model")
@click.option("--to", "way", required=True, type=click.Choice(WAYS), help="What is written.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder or file; must not be there yet.")
@as_json
def export(model: str, way: str, out: Path, machine: bool) -> None:
    """Write MODEL, a registered version or any other, for other programs.

    diffusers: a folder that stock diffusers reads. lora: the adapter alone, for load_lora_weights, of a version that
    was trained as one. single-file: Stable Diffusion 1, 2 and XL in the layout of their published checkpoints.
    """
    if out.exists():
        raise ExpungeError(f"--out: {out} is there already; give another name")
    if way != "diffusers" and out.suffix != ".safetensors":
        raise ExpungeError(f"--out: got '{out}'; give a file that ends in .safetensors")
    if not out.parent.is_dir():
        raise ExpungeError(f"--out: there is no folder '{out.parent}'; make it first")
    from expunge.models.resolver import open_model  # torch takes seconds to import

    opened, facts = open_model(model)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".expunge-") as folder:
        half = Path(folder, out.name)
        {"diffusers": opened.save, "lora": opened.save_adapter, "single-file": opened.save_single_file}[way](half)
        half.rename(out)
    if machine:
        print_json({"file": str(out), "to": way, **facts.model_dump()})
    else:
        say(f"Wrote {out}: {facts.version or facts.source}, sha256 {facts.digest[:12]}….")
