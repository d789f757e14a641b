"""``expunge takedown``: file, list, show, release and retry requests."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from expunge.cli.inbox_options import with_inbox
from expunge.cli.output import print_json, print_table, say
from expunge.takedown.entry import Entry
from expunge.takedown.inbox import Inbox
from expunge.takedown.life_cycle import Outcome, RequestState, Status
from expunge.takedown.request import Kind
from expunge.takedown.standing import BY_HAND


@click.group()
def takedown() -> None:
    """File, list and mend takedown requests; what became of them is told for one registered model."""


@takedown.command()
@click.argument("kind", type=click.Choice([kind.value for kind in Kind]))
@click.argument("target")
@click.option("--synonym", "synonyms", multiple=True, help="Another name of the same thing; may be repeated.")
@click.option("--picture", "pictures", multiple=True, type=click.Path(path_type=Path), help="May be repeated.")
@click.option("--requester", default="", help="Who asks.")
@click.option("--reason", default="", help="Why.")
@click.option("--instead", default="", help="Drawn in its place: neighbour, neighbour:NAME, content or nothing.")
@click.option("--due", default="", help="Until when, e.g. 2026-12-24 or 2026-12-24T12:00Z.")
@click.option("--id", "request_id", help="By default made from kind and target.")
@with_inbox
def file(
    pictures: tuple[Path, ...], request_id: str | None, due: str, box: Inbox, machine: bool, **fields: Any
) -> None:
    """File a request to remove TARGET. Filing the same thing again changes nothing and says so."""
    filing = box.file(pictures=pictures, id=request_id, due=due or None, **fields)
    entry = Entry(filing.request.id, filing.state, filing.request)
    if machine:
        print_json({"created": filing.created} | _facts(entry))
    elif filing.created:
        say(f"Filed {entry.id}. The next run of unlearn_pipeline takes it up.")
    else:
        say(f"Already filed as {entry.id}, which is {filing.state.label}; nothing was changed.")


@takedown.command("list")
@click.option(
    "--status",
    type=click.Choice([*dict.fromkeys([each.value for each in (*Status, *Outcome)])]),
    help="Only requests of that status or outcome.",
)
@click.option("--limit", type=click.IntRange(0), default=100, help="How many the table shows, by default 100; 0: all.")
@with_inbox
def list_requests(status: str | None, limit: int, box: Inbox, machine: bool) -> None:
    """List the requests in the inbox; --json lists all of them, a table those that moved last."""
    entries = [entry for entry in box.requests() if status in (None, entry.state.status.value, entry.state.label)]
    if machine:
        print_json([_facts(entry, {"certificate"}) for entry in entries])  # ``show`` has them
    elif not entries:
        say(f"No {status + ' ' if status else ''}requests in {box.store}.")
    else:
        shown = sorted(entries, key=_moved)[-limit:] if 0 < limit < len(entries) else entries
        print_table(["id", "kind", "target", "status", "since", "due", "reason"], [_row(entry) for entry in shown])
        if len(shown) < len(entries):
            say(f"The {len(shown)} that moved last of {len(entries)}; --limit 0 shows all.")


@takedown.command()
@click.argument("request_id", metavar="ID")
@with_inbox
def show(request_id: str, box: Inbox, machine: bool) -> None:
    """Show one request and its history."""
    entry = box.entry(request_id)
    if machine:
        print_json(_facts(entry))
        return
    say(entry.id, "bold")
    if entry.request is None:
        say(f"unreadable: {entry.problem}", "red")
    else:
        fields = entry.request.model_dump(mode="json", exclude={"id"}, exclude_defaults=True)
        print_table(["", ""], [[name, _plain(value)] for name, value in fields.items()])
    say(f"Status: {entry.state.label}", "bold")
    if entry.state.claim:
        say(f"held by {entry.state.claim.owner} since {entry.state.claim.taken_at:%Y-%m-%d %H:%M} UTC")
    if entry.state.history:
        events = [[f"{e.time:%Y-%m-%d %H:%M:%S}", e.status.value, e.reason] for e in entry.state.history]
        print_table(["time (UTC)", "status", "reason"], events)
    if entry.state.certificate is not None:
        say("It has a certificate: see --json.")
    if absence := entry.state.absence:
        say("Why there is nothing to remove", "bold")
        shares = [[f.judge, f"{f.share:.3f}", f"{f.low:.3f}–{f.high:.3f}", f.taken_for] for f in absence.found]
        print_table(["judge", "share that shows it", "95 % interval", "else, most often"], shares)
        facts = absence.model_dump(mode="json", exclude={"found"})
        print_table(["", ""], [[name.replace("_", " "), _plain(value)] for name, value in facts.items()])


@takedown.command()
@click.argument("request_id", metavar="ID")
@with_inbox
def release(request_id: str, box: Inbox, machine: bool) -> None:
    """Give up the claim on a request, so that the next run takes it up again."""
    claim = box.state(request_id).claim
    state = box.release(request_id, f"released by hand from {claim.owner}" if claim else "released by hand")
    _tell_moved(request_id, state, machine)


@takedown.command()
@click.argument("request_id", metavar="ID")
@with_inbox
def retry(request_id: str, box: Inbox, machine: bool) -> None:
    """Let the next run take up a failed request, a rejected one that was mended, or one with nothing to remove."""
    _tell_moved(request_id, box.retry(request_id, BY_HAND), machine)


def _tell_moved(request_id: str, state: RequestState, machine: bool) -> None:
    if machine:
        print_json({"id": request_id, "status": state.label, "state": state.model_dump(mode="json")})
    else:
        say(f"{request_id} is {state.label} again.")


def _facts(entry: Entry, without: set[str] | None = None) -> dict[str, Any]:
    return {
        "id": entry.id,
        "status": entry.state.label,
        "request": entry.request.model_dump(mode="json") if entry.request else None,
        "problem": entry.problem,
        "state": entry.state.model_dump(mode="json", exclude=without),
    }


def _moved(entry: Entry) -> str:
    """When it last moved, to sort by; what nobody has taken up yet is newer than anything."""
    return entry.state.history[-1].time.isoformat() if entry.state.history else "~"


def _row(entry: Entry) -> list[str]:
    kind, target = (entry.request.kind.value, entry.request.target) if entry.request else ("?", "?")
    since = f"{entry.state.history[-1].time:%Y-%m-%d %H:%M}" if entry.state.history else ""
    due = entry.request.due if entry.request else None
    late = " (overdue)" if entry.is_overdue(datetime.now(UTC)) else ""
    due_on = f"{due:%Y-%m-%d %H:%M}{late}" if due else ""
    return [entry.id, kind, target, entry.state.label, since, due_on, entry.state.reason or entry.problem]


def _plain(value: Any) -> str:
    return ", ".join(value) if isinstance(value, list) else str(value)
