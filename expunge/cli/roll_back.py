"""``expunge roll-back``: make the former champion the champion again."""

import click

from expunge.cli.inbox_options import with_inbox
from expunge.cli.output import print_json, say
from expunge.errors import ExpungeError
from expunge.takedown.inbox import Inbox
from expunge.takedown.owner import this_person


@click.command("roll-back")
@click.option("--reason", required=True, help="Why; it goes on the record.")
@click.option("--yes", is_flag=True, help="Do not ask before acting.")
@with_inbox
def roll_back(reason: str, yes: bool, box: Inbox, machine: bool) -> None:
    """Make the former champion the champion again.

    Requests that it has not forgotten are open again, and their certificates withdrawn; open again are also those that
    were closed because a later version does not draw their target. This says which before it acts.
    """
    from expunge.release import promotion  # mlflow takes seconds to import
    from expunge.release.registry import Registry
    from expunge.release.withdrawal import withdraw

    registry = Registry(name=box.champions.model)
    promotion.follow(box.champions, registry)
    planned = promotion.plan_roll_back(box)
    if not machine:
        say(f"Version {planned.back_to} becomes champion again, in place of version {planned.instead_of}.")
        say(f"Open again, any certificates withdrawn: {', '.join(planned.reopened) or 'no request'}.")
    if not yes and (machine or not click.confirm("Roll back?")):
        raise ExpungeError("nothing was rolled back; say --yes to do so without being asked")
    promotion.roll_back(box.champions, registry, planned, reason, this_person())
    withdrawn = withdraw(box.champions, registry)
    if machine:
        print_json({"champion": planned.back_to, "reopened": list(planned.reopened), "withdrawn": withdrawn})
    else:
        say(f"Champion: {registry.name} version {planned.back_to}", "bold")
