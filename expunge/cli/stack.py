"""``expunge stack``: what a set-up lacks."""

import sys
from pathlib import Path

import click

from expunge.cli.output import as_json, print_json, print_table
from expunge.cli.run_config import inbox_and_model, read_parameters


@click.group()
def stack() -> None:
    """Look after what runs stand on."""


@stack.command()
@click.option("--config", type=click.Path(path_type=Path), help="Of unlearn_pipeline; names inbox and model.")
@click.option("--kubernetes", type=click.Path(path_type=Path), help="Settings of a cluster, which is asked too.")
@click.option("--kubeflow", type=click.Path(path_type=Path), help="Settings of a Kubeflow pipeline, likewise.")
@click.option("--image", default="", help="With --kubeflow: that the pipeline is compiled for.")
@as_json
def check(config: Path | None, kubernetes: Path | None, kubeflow: Path | None, image: str, machine: bool) -> None:
    """Say what is missing, and how to mend it; exit code 1 if anything is."""
    from expunge.cli.stack_checks import check_stack

    findings = check_stack(*inbox_and_model(read_parameters(config) if config else {}), kubernetes, kubeflow, image)
    if machine:
        print_json([vars(each) for each in findings])
    else:
        rows = [[each.what, "well" if each.ok else "missing", each.found, each.remedy] for each in findings]
        print_table(["what", "", "found", "remedy"], rows)
    if not all(each.ok for each in findings):
        sys.exit(1)
