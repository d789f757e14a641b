"""``expunge approve``: a person's word for a version that passed the gate."""

from datetime import UTC, datetime

import click

from expunge.cli.inbox_options import with_inbox
from expunge.cli.output import print_json, say
from expunge.cli.purge import purged, tell
from expunge.errors import ExpungeError
from expunge.takedown.champion_log import Approval
from expunge.takedown.inbox import Inbox
from expunge.takedown.life_cycle import Status
from expunge.takedown.owner import this_person


@click.command()
@click.argument("version", type=click.IntRange(1))
@click.option("--reason", required=True, help="Why; it goes on the record.")
@click.option("--name", default=this_person, show_default="user and host", help="Who approves.")
@with_inbox
def approve(version: int, reason: str, name: str, box: Inbox, machine: bool) -> None:
    """Let a VERSION that passed the gate and waits for a person become champion.

    Its requests are closed, and pictures of what they name are purged as the run was told to.
    """
    if not reason.strip() or not name.strip():
        raise ExpungeError("--reason and --name: are empty; both go on the record")
    waits = [entry for entry in box.requests() if entry.state.wait and entry.state.wait.version == version]
    if not waits:
        waiting = sorted({entry.state.wait.version for entry in box.requests() if entry.state.wait})
        raise ExpungeError(
            f"version: {version} waits for no approval: it was overtaken, its time is over, it was approved, or it "
            f"never passed the gate. Waiting: {', '.join(map(str, waiting)) or 'none'}"
        )
    from expunge.release.registry import Registry  # mlflow takes seconds to import
    from expunge.release.settling import Settling
    from expunge.reports.certificate_page import render_certificate

    settling = Settling(box, Registry(name=box.champions.model), version, render_certificate)
    settled = settling.settle(approval=Approval(name=name, reason=reason, at=datetime.now(UTC)))
    if settled != "promoted":
        raise ExpungeError(f"version: {version} was {settled} meanwhile, so it is not promoted")
    closed = [entry.id for entry in waits if box.state(entry.id).status is Status.CLOSED]
    # As the run itself would have: by its own policy, which versions of before did not write down.
    retention = settling.findings.lineage.config.get("retention", {})
    removed = purged(str(box.store), box.champions.model, retention)
    if machine:
        print_json({"champion": version, "closed": closed, "purged": removed})
    else:
        say(f"Champion: {box.champions.model} version {version}, approved by {name}", "bold")
        tell(removed)
