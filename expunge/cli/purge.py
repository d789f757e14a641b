"""``expunge purge``: remove what shows a target whose request is closed."""

import json
import subprocess
import sys
from typing import Any, get_args

import click

from expunge.cli.inbox_options import inbox_option, model_option
from expunge.cli.output import as_json, print_json, say
from expunge.release.retention import Superseded, Thumbnails
from expunge.takedown.model_name import check_name

COUNTED = {
    "artifact_pictures": "pictures in ZenML's artifacts",
    "artifact_gradients": "gradient caches in ZenML's artifacts",
    "artifact_models": "models of deleted versions in ZenML's artifacts",
    "stored_files": "files of drawn pictures",
    "page_pictures": "pictures in pages",
}


@click.command()
@click.option("--dry-run", is_flag=True, help="Count what would go, and change nothing.")
@click.option(
    "--thumbnails",
    type=click.Choice(get_args(Thumbnails)),
    default="blurred",
    show_default=True,
    help="What is left of the pictures in pages.",
)
@click.option(
    "--superseded-versions",
    type=click.Choice(get_args(Superseded)),
    default="keep",
    show_default=True,
    help="What becomes of earlier versions that still draw it.",
)
@inbox_option
@model_option
@as_json
def purge(dry_run: bool, thumbnails: str, superseded_versions: str, inbox: str, model: str, machine: bool) -> None:
    """Remove pictures and gradients of every target whose request is closed, and mark the versions that still draw it.

    They leave ZenML's artifacts in the active stack, reports on the tracking server, and .expunge. Hashes and numbers
    stay, and so do the pictures that a requester sent.
    """
    retention = {"thumbnails": thumbnails, "superseded_versions": superseded_versions}
    found = purged(inbox, check_name(model, "--model"), retention, dry_run)
    if machine:
        print_json(found)
    else:
        tell(found, dry_run)


def purged(inbox: str, model: str, retention: dict[str, Any], dry_run: bool = False) -> dict[str, Any]:
    """Purge in a process of its own, since the command line never imports ZenML; what was removed."""
    asked = {"inbox": inbox, "registered_model": model, "retention": retention, "dry_run": dry_run}
    done = subprocess.run(
        [sys.executable, "-m", "pipelines.purge"], input=json.dumps(asked), stdout=subprocess.PIPE, encoding="utf-8"
    )
    if done.returncode:
        sys.exit(2)  # it said why
    return json.loads(done.stdout.splitlines()[-1])


def tell(found: dict[str, Any], dry_run: bool = False) -> None:
    """Say what was removed."""
    say(f"Closed requests: {', '.join(found['requests']) or 'none'}", "bold")
    counts = [f"{found[name]} {what}" for name, what in COUNTED.items() if found[name]]
    say(f"{'Would remove' if dry_run else 'Removed'}: {', '.join(counts) or 'nothing'}")
    for version, what in found["versions"].items():
        say(f"Version {version} {what}")
