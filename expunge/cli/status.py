"""``expunge status``: how the takedown requests stand, for a terminal, a machine or a page."""

from datetime import UTC, datetime
from pathlib import Path

import click

from expunge.cli.inbox_options import with_inbox
from expunge.cli.output import print_json, print_table, say
from expunge.errors import ExpungeError
from expunge.takedown.inbox import Inbox
from expunge.takedown.standing import Standing, standing

SHOWN = (
    "pending", "running", "waiting", "overdue", "for_a_person", "failed", "rejected", "nothing_to_remove", "fulfilled",
)  # fmt: skip
LISTED = 10  # ids in a line


@click.command()
@click.option("--html", type=click.Path(dir_okay=False, path_type=Path), help="Write a page there instead.")
@with_inbox
def status(html: Path | None, box: Inbox, machine: bool) -> None:
    """Show what is pending, running, overdue, failed and done, and how long takedowns took."""
    entries, now = box.requests(), datetime.now(UTC)
    current = box.champions.current()
    found = standing(entries, box.champions.model, current.version if current else None, now)
    if html is not None:
        from expunge.reports.status_page import render_status

        try:
            html.write_text(render_status(found, entries), encoding="utf-8")
        except OSError as error:
            raise ExpungeError(f"--html: {html} cannot be written: {error.strerror}") from error
    if machine:
        print_json(found.model_dump(mode="json"))
    elif html is not None:
        say(f"Wrote {html}")
    else:
        _tell(found)


def _tell(found: Standing) -> None:
    champion = f"version {found.champion}" if found.champion else "none yet"
    say(f"{found.model}, champion: {champion}", "bold")
    rows = []
    for name in SHOWN:
        ids: tuple[str, ...] = getattr(found, name)
        more = f" and {len(ids) - LISTED} more" if len(ids) > LISTED else ""
        rows.append([name.replace("_", " "), str(len(ids)), ", ".join(ids[:LISTED]) + more])
    print_table(["", "requests", ""], rows)
    if found.hours_to_close:
        middle, longest = found.hours_to_close
        say(f"From filing to fulfilment: {middle:.1f} hours in the middle, {longest:.1f} at most.")
