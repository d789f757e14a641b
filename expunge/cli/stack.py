"""``expunge stack``: what a set-up lacks."""

import os
import sys
from pathlib import Path

import click
import yaml

from expunge.cli.output import as_json, print_json, print_table
from expunge.errors import ExpungeError


@click.group()
def stack() -> None:
    """Look after what runs stand on."""


@stack.command()
@click.option("--config", type=click.Path(path_type=Path), help="Of unlearn_pipeline; names inbox and model.")
@as_json
def check(config: Path | None, machine: bool) -> None:
    """Say what is missing, and how to mend it; exit code 1 if anything is."""
    from expunge.cli.stack_checks import check_stack
    from expunge.takedown.model_name import DEFAULT_NAME, check_name

    parameters = _parameters(config) if config else {}
    inbox = parameters.get("inbox") or os.environ.get("EXPUNGE_INBOX") or ".expunge/inbox"
    findings = check_stack(str(inbox), check_name(str(parameters.get("registered_model") or DEFAULT_NAME)))
    if machine:
        print_json([vars(each) for each in findings])
    else:
        rows = [[each.what, "well" if each.ok else "missing", each.found, each.remedy] for each in findings]
        print_table(["what", "", "found", "remedy"], rows)
    if not all(each.ok for each in findings):
        sys.exit(1)


def _parameters(config: Path) -> dict:
    try:
        content = yaml.safe_load(config.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ExpungeError(f"config: there is no file {config}.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ExpungeError(f"config: {config} is no YAML: {' '.join(str(error).split())[:200]}") from error
    parameters = content.get("parameters") if isinstance(content, dict) else None
    if not isinstance(parameters, dict):
        raise ExpungeError(f"config: {config} has no 'parameters'; give a config of unlearn_pipeline.")
    return parameters
