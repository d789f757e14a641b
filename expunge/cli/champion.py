"""``expunge champion``: which model version is in service, and which ones were."""

from datetime import datetime
from typing import TYPE_CHECKING

import click

from expunge.cli.output import as_json, print_json, print_table, say

if TYPE_CHECKING:
    from expunge.release.registry import ModelVersion


@click.command()
@as_json
def champion(machine: bool) -> None:
    """Show the champion and its history."""
    from expunge.release.registry import Registry  # mlflow takes seconds to import

    registry = Registry()
    current, versions = registry.champion(), registry.history()
    if machine:
        print_json(
            {
                "champion": current.model_dump(mode="json") if current else None,
                "history": [version.model_dump(mode="json") for version in versions],
            }
        )
        return
    if current is None:
        say(f"No version of {registry.name} has been promoted yet: run unlearn_pipeline.")
    else:
        say(f"Champion: {current.name} version {current.version}", "bold")
    if versions:
        columns = ["version", "aliases", "registered", "champion from – until (UTC)", "digest"]
        print_table(columns, [_row(version) for version in versions])


def _row(version: "ModelVersion") -> list[str]:
    periods = "; ".join(f"{_minute(each.since)} – {_minute(each.until)}" for each in version.champion_periods)
    aliases = ", ".join(version.aliases)
    return [str(version.version), aliases, _minute(version.created_at), periods, version.digest[:12]]


def _minute(time: datetime | None) -> str:
    return f"{time:%Y-%m-%d %H:%M}" if time else "now"
