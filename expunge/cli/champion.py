"""``expunge champion``: which model version is in service, and which ones were."""

from datetime import datetime

import click

from expunge.cli.inbox_options import with_inbox
from expunge.cli.output import print_json, print_table, say
from expunge.takedown.champion_log import Period
from expunge.takedown.inbox import Inbox


@click.command()
@with_inbox
def champion(box: Inbox, machine: bool) -> None:
    """Show the champion, what it has forgotten, and its history. Aliases that lag behind the log are mended."""
    from expunge.release.promotion import follow  # mlflow takes seconds to import
    from expunge.release.registry import Registry

    registry = Registry(name=box.champions.model)
    current = follow(box.champions, registry)
    versions, periods, entries = registry.history(), box.champions.periods(), box.champions.entries()
    covers = sorted(box.champions.covered_by(entries[-1].version)) if entries else []
    if machine:
        print_json(
            {
                "champion": registry.get(current).model_dump(mode="json") if current else None,
                "covers": covers,
                "history": [version.model_dump(mode="json") for version in versions],
                "log": [entry.model_dump(mode="json") for entry in entries],
            }
        )
        return
    if current is None:
        say(f"No version of {registry.name} has been promoted yet: run unlearn_pipeline.")
    else:
        say(f"Champion: {registry.name} version {current}", "bold")
        say(f"It has forgotten: {', '.join(covers) or 'nothing that was asked for'}")
    if versions:
        columns = ["version", "aliases", "registered", "champion from – until (UTC)", "digest"]
        rows = [
            [
                str(v.version),
                ", ".join(v.aliases),
                _minute(v.created_at),
                _said(periods.get(v.version, [])),
                v.digest[:12],
            ]
            for v in versions
        ]
        print_table(columns, rows)


def _said(periods: list[Period] | None) -> str:
    return "; ".join(f"{_minute(each.since)} – {_minute(each.until)}" for each in periods or ())


def _minute(time: datetime | None) -> str:
    return f"{time:%Y-%m-%d %H:%M}" if time else "now"
