"""``expunge retrain``: work on what is pending, now or again and again; with nothing to do, nothing is started."""

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import click
import yaml

from expunge.cli.output import as_json, print_json, say
from expunge.cli.run_config import inbox_and_model
from expunge.errors import ExpungeError
from expunge.takedown.inbox import Inbox
from expunge.takedown.object_store import open_store
from expunge.takedown.standing import next_runs


@click.command()
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    help="Of unlearn_pipeline; inbox and model are taken from it, or from EXPUNGE_INBOX and EXPUNGE_MODEL.",
)
@click.option("--every", type=click.FloatRange(min=0, min_open=True), help="Minutes; go on until interrupted.")
@click.option("--dry-run", is_flag=True, help="Only say what would be run.")
@as_json
def retrain(config: Path | None, every: float | None, dry_run: bool, machine: bool) -> None:
    """Run unlearn_pipeline on what is pending: all new requests together, those that failed in company each alone.

    A request that failed alone as well goes to a person: see expunge status. Nothing pending, nothing started.
    """
    settings = _read(config) if config else {}
    while True:
        runs = _tick(settings, dry_run)
        if machine:
            print_json(runs)
        elif not runs:
            say("Nothing is pending.")
        for run in [] if machine else runs:
            say(f"{'Would run' if dry_run else 'Ran'} {', '.join(run['requests'])}.")
        if every is None:
            break
        time.sleep(60 * every)
    if failed := [run for run in runs if run["status"]]:
        raise ExpungeError(
            f"{len(failed)} of {len(runs)} runs failed: what they said is above, their requests are pending"
        )


def _tick(settings: dict[str, Any], dry_run: bool) -> list[dict[str, Any]]:
    """Run what is to be run; each run's requests, and its exit status, None if it was not started."""
    given = settings.get("parameters") or {}
    inbox, model = inbox_and_model(given)
    box, worked_on = Inbox(open_store(inbox), model), {"inbox": inbox, "registered_model": model}
    done = []
    for requests in next_runs(box):
        status = None
        if not dry_run:
            for each in requests:
                if box.state(each).outcome:
                    box.retry(each, "it failed together with others, so it is tried alone")
            status = _run(settings | {"parameters": given | worked_on | {"only": requests}})
        done.append({"requests": requests, "status": status})
    return done


def _run(settings: dict[str, Any]) -> int:
    """Run the pipeline in a process of its own, what it says on stderr; its exit status."""
    zenml = Path(sys.executable).with_name("zenml")
    with tempfile.NamedTemporaryFile("w", suffix=".yaml", encoding="utf-8") as file:
        yaml.safe_dump(settings, file, allow_unicode=True)
        file.flush()
        command = [str(zenml), "pipeline", "run", "unlearn_pipeline", "-c", file.name]
        return subprocess.run(command, stdout=sys.stderr, check=False).returncode


def _read(config: Path) -> dict[str, Any]:
    try:
        settings = yaml.safe_load(config.read_text(encoding="utf-8"))
    except OSError as error:
        raise ExpungeError(f"--config: {config} cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ExpungeError(f"--config: {config} is no YAML: {' '.join(str(error).split())[:200]}") from error
    if not isinstance(settings, dict) or not isinstance(settings.get("parameters") or {}, dict):
        raise ExpungeError(f"--config: {config} holds no parameters of a pipeline; see configs/demo.yaml")
    return settings
