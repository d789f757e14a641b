"""``expunge convert-weights``: published weights as safetensors."""

from pathlib import Path

import click

from expunge.cli.output import as_json, print_json, say


@click.command()
@click.argument("source", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--timm", "timm_model", default="", metavar="MODEL", help="Name the tensors as this timm network does.")
@as_json
def convert_weights(source: Path, out: Path, timm_model: str, machine: bool) -> None:
    """Write the tensors of SOURCE, a .pth file, to OUT, a new .safetensors file. Code in SOURCE is never run."""
    from expunge.judges.published_weights import convert_weights as convert  # torch takes seconds to import

    count = convert(source, out, timm_model)
    if machine:
        print_json({"file": str(out), "tensors": count})
    else:
        say(f"{count} tensors written to {out}")
