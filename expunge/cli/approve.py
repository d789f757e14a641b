"""``expunge approve`` and ``expunge refuse``: a person's word on a version that passed the gate."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import click

from expunge.cli.inbox_options import with_inbox
from expunge.cli.output import print_json, say
from expunge.cli.purge import purged, tell
from expunge.errors import ExpungeError
from expunge.takedown.inbox import Inbox
from expunge.takedown.life_cycle import Status
from expunge.takedown.owner import this_person


def _with_word(command: Callable) -> Callable:
    """Add version, reason and name, and what ``with_inbox`` adds."""

    @click.argument("version", type=click.IntRange(1))
    @click.option("--reason", required=True, help="Why; it goes on the record.")
    @click.option("--name", default=this_person, show_default="user and host", help="Who says so.")
    @with_inbox
    @wraps(command)
    def given(**words: Any) -> Any:
        if not words["reason"].strip() or not words["name"].strip():
            raise ExpungeError("--reason and --name: are empty; both go on the record")
        return command(**words)

    return given


@click.command()
@_with_word
def approve(version: int, reason: str, name: str, box: Inbox, machine: bool) -> None:
    """Let a VERSION that passed the gate and waits for a person become champion.

    Its requests are closed, and pictures of what they name are purged as the run was told to.
    """
    from expunge.release.approving import waiting_for  # mlflow takes seconds to import

    waits = waiting_for(box, version)
    settled, config = _answer(True, version, reason, name, box)
    if settled != "promoted":
        raise ExpungeError(f"version: {version} was {settled} meanwhile, so it is not promoted")
    closed = [entry.id for entry in waits if box.state(entry.id).status is Status.CLOSED]
    # As the run itself would have: by its own policy, which versions of before did not write down.
    removed = purged(str(box.store), box.champions.model, config.get("retention", {}))
    if machine:
        print_json({"champion": version, "closed": closed, "purged": removed})
    else:
        say(f"Champion: {box.champions.model} version {version}, approved by {name}", "bold")
        tell(removed)


@click.command()
@_with_word
def refuse(version: int, reason: str, name: str, box: Inbox, machine: bool) -> None:
    """Say no to a VERSION that passed the gate and waits for a person: the champion stays, its requests have failed."""
    from expunge.release.approving import waiting_for

    waits = waiting_for(box, version)
    _answer(False, version, reason, name, box)
    if machine:
        print_json({"refused": version, "failed": [entry.id for entry in waits]})
    else:
        say(f"Refused: version {version}. Failed: {', '.join(entry.id for entry in waits)}", "bold")
        say("They stay so until somebody changes the settings and says `expunge takedown retry ID`.")


def _answer(approved: bool, version: int, reason: str, name: str, box: Inbox) -> tuple[str, dict[str, Any]]:
    """What became of the version, and the settings that it was made with."""
    from expunge.release.approving import Answer, act_on
    from expunge.release.registry import Registry
    from expunge.release.settling import Settling
    from expunge.reports.certificate_page import render_certificate

    registry = Registry(name=box.champions.model)
    word = Answer(approved=approved, name=name, reason=reason)
    settled = act_on(word, box, registry, version, render_certificate)
    return settled, Settling(box, registry, version, render_certificate).findings.lineage.config
